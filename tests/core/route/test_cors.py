from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.route.cors import EXPOSED, allowed, lines, own, preflight

APP = ("https://app.example", "http://localhost:3000", "https://*.preview.example")


@pytest.mark.parametrize(
    "origin",
    ["https://app.example", "http://localhost:3000", "https://a.preview.example", "https://a-1.b.preview.example"],
)
def test_origins_that_are_named(origin: str) -> None:
    assert allowed(APP, origin.encode()) == origin.encode()


@pytest.mark.parametrize(
    "origin",
    [
        "http://app.example", "https://app.example:8443", "https://app.example.evil.test", "https://evilapp.example", "null", "",
        "https://preview.example", "https://.preview.example", "https://a..preview.example.evil", "https://evil.test/.preview.example",
        "https://evil.test#.preview.example", "https://u@a.preview.example", "https://-.preview.example", "http://a.preview.example",
        "https://A.preview.example", "https://a.preview.example:1", "https://app.example\r\nx: y", "https://\xff.preview.example",
    ],
)  # fmt: skip
def test_origins_that_only_look_like_them(origin: str) -> None:
    assert allowed(APP, origin.encode("latin-1")) is None


def test_every_page_there_is() -> None:
    assert allowed(("*",), b"https://anything.test") == b"*"
    assert allowed(("*",), None) is None
    assert "vary" not in lines(("*",), b"https://anything.test")


def test_an_answer_says_who_may_read_what_of_it() -> None:
    assert lines(APP, b"https://app.example") == (
        f"access-control-allow-origin: https://app.example\r\naccess-control-expose-headers: {EXPOSED}\r\nvary: origin\r\n"
    )
    for origin in (None, b"https://other.test"):
        assert lines(APP, origin) == "vary: origin\r\n"


def test_a_preflight_gets_what_it_asks_for() -> None:
    headers = dict(preflight(APP, b"https://app.example", b"POST", b"authorization, content-type") or [])
    assert headers[b"access-control-allow-origin"] == b"https://app.example"
    assert headers[b"access-control-allow-methods"] == b"POST"
    assert headers[b"access-control-allow-headers"] == b"authorization, content-type"
    assert headers[b"access-control-max-age"] == b"7200"
    assert b"origin" in headers[b"vary"]
    assert b"access-control-allow-headers" not in dict(preflight(APP, b"https://app.example", b"GET", None) or [])


@pytest.mark.parametrize(
    ("origin", "method", "fields"),
    [(b"https://other.test", b"POST", None), (b"https://app.example", b"", None), (b"https://app.example", b"PO\r\nST", None),
     (b"https://app.example", b"POST", b"x\r\ny: z")],
)  # fmt: skip
def test_a_preflight_that_is_refused(origin: bytes, method: bytes, fields: bytes | None) -> None:
    assert preflight(APP, origin, method, fields) is None


@given(st.binary(max_size=60))
def test_what_is_sent_back_is_what_was_allowed(origin: bytes) -> None:
    value = allowed(APP, origin)
    assert value is None or (value == origin and b"\r" not in value and b"\n" not in value)


def test_fields_that_are_cors_s_own() -> None:
    assert own(b"access-control-allow-credentials")
    assert not own(b"content-type")
