"""An address that knows its parts."""

from __future__ import annotations

from wws.http import Request
from wws.url import URL


def test_parts() -> None:
    url = Request("GET", "/a%20b?x=1&x=2&y=", authority="shop.test:8443", scheme="https").url
    assert url == "https://shop.test:8443/a%20b?x=1&x=2&y="
    assert (url.origin, url.host, url.hostname) == ("https://shop.test:8443", "shop.test:8443", "shop.test")
    assert (url.pathname, url.search, url.params) == ("/a%20b", "?x=1&x=2&y=", {"x": ["1", "2"], "y": [""]})
    assert (URL("http://a").pathname, URL("http://a").search) == ("/", "")
