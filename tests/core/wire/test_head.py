"""The rules of a request head that a parser leaves to us."""

from __future__ import annotations

from ipaddress import IPv6Address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.wire import head
from wws.core.wire.head import Head, Pair, Refused, check


def judge(*fields: tuple[str, str], method: str = "GET", target: str = "/", version: str = "1.1") -> Head | Refused:
    """Judges a head with a Host unless one is given."""
    pairs: list[Pair] = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    if not any(name == b"host" for name, _ in pairs):
        pairs.insert(0, (b"host", b"a.example"))
    return check(version, method.encode(), target.encode("latin-1"), pairs, dict(pairs))


def status(verdict: Head | Refused) -> int:
    return verdict.status if isinstance(verdict, Refused) else 200


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ([], 0),
        ([("content-length", "0")], 0),
        ([("content-length", "5")], 5),
        ([("content-length", "00005")], 5),
        ([("content-length", "9" * 18)], 10**18 - 1),
        ([("transfer-encoding", "chunked")], None),
        ([("transfer-encoding", "CHUNKED")], None),
    ],
)
def test_the_length_of_the_body(fields: list[tuple[str, str]], length: int | None) -> None:
    assert judge(*fields, method="POST") == Head("/", "a.example", length)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("content-length", "")], 400),
        ([("content-length", "+5")], 400),
        ([("content-length", "-5")], 400),
        ([("content-length", "5_0")], 400),
        ([("content-length", " 5")], 400),
        ([("content-length", "5,5")], 400),
        ([("content-length", "0x5")], 400),
        ([("content-length", "\xb2")], 400),  # a digit to Unicode, not to HTTP
        ([("content-length", "9" * 19)], 400),
        ([("content-length", "5"), ("content-length", "5")], 400),
        ([("content-length", "5"), ("transfer-encoding", "chunked")], 400),
        ([("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], 400),
        ([("transfer-encoding", "gzip")], 501),
        ([("transfer-encoding", "gzip, chunked")], 501),
        ([("transfer-encoding", "chunked ")], 501),
        ([("transfer-encoding", "")], 501),
    ],
)
def test_framing_that_can_be_read_in_two_ways(fields: list[tuple[str, str]], expected: int) -> None:
    assert status(judge(*fields, method="POST")) == expected


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0", "3.0", "9.9", ""])
def test_other_versions(version: str) -> None:
    assert status(judge(version=version)) == 505


def test_http_1_0() -> None:
    assert check("1.0", b"GET", b"/", [], {}) == Head("/", "localhost", 0)
    assert judge(version="1.0") == Head("/", "a.example", 0)
    assert status(judge(("transfer-encoding", "chunked"), version="1.0")) == 400
    assert status(judge(("host", "a/b"), version="1.0")) == 400


HOSTS = {
    "a": "a",
    "A.Example": "a.example",
    "a.example.": "a.example.",
    "a_b": "a_b",
    "a:80": "a:80",
    "a:": None,
    "127.0.0.1:8787": "127.0.0.1:8787",
    "[::1]": "[::1]",
    "[2001:DB8::1]:8080": "[2001:db8::1]:8080",
    "[::ffff:192.0.2.1]": "[::ffff:192.0.2.1]",
    "a" * 254: "a" * 254,
    "": None,
    " a": None,
    "a b": None,
    "a,b": None,
    "a/b?c": None,
    "a?b": None,
    "a#b": None,
    "u@a": None,
    "u:p@a": None,
    "a:65535": "a:65535",
    "a:65536": None,
    "a:99999": None,
    "a:123456": None,
    "a:-1": None,
    "a:+1": None,
    "a:http": None,
    "a:80:80": None,
    "::1": None,
    "[::1": None,
    "::1]": None,
    "[]": None,
    "[::1::2]": None,
    "[fe80::1%eth0]": None,
    "[v1.a]": None,
    "[127.0.0.1]": None,
    "%61": None,
    ".a": None,
    "-a": None,
    "a\\b": None,
    "a\0": None,
    "a\r\nX: y": None,
    "\xe4": None,
    "a" * 255: None,
}


@pytest.mark.parametrize("host", HOSTS)
def test_host(host: str) -> None:
    expected = HOSTS[host]
    for _ in range(2):  # a good one is remembered
        verdict = judge(("host", host))
        if expected is None:
            assert status(verdict) == 400
        else:
            assert verdict == Head("/", expected, 0)


def test_host_is_there_once() -> None:
    assert status(check("1.1", b"GET", b"/", [], {})) == 400
    assert status(judge(("host", "a"), ("host", "a"))) == 400


def test_hosts_are_not_remembered_without_bound() -> None:
    for n in range(2000):
        assert judge(("host", f"h{n}")) == Head("/", f"h{n}", 0)
    assert len(head._good_hosts) <= head._HOSTS_REMEMBERED


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_whatever_host_is_accepted_reads_alike_in_a_url(host: str) -> None:
    """P2: no character of it can move what follows it into the path, the query or the user."""
    verdict = judge(("host", host))
    if isinstance(verdict, Head):
        url = urlsplit(f"http://{host}/path?query")
        assert (url.path, url.query, url.username, url.fragment) == ("/path", "query", None, "")
        assert url.netloc.lower() == verdict.authority
        assert url.port is None or 0 <= url.port <= 65535


@given(st.ip_addresses(v=6), st.one_of(st.none(), st.integers(0, 65535)))
def test_every_ipv6_address_is_a_host(address: IPv6Address, port: int | None) -> None:
    host = f"[{address}]" if port is None else f"[{address}]:{port}"
    assert judge(("host", host)) == Head("/", host, 0)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", "/"),
        ("/a/b?c=d&e", "/a/b?c=d&e"),
        ("//a", "//a"),  # what the path means is the route table's to judge
        ("/..;/a", "/..;/a"),
        ("/http://b.example/", "/http://b.example/"),
        ("http://a.example/b?c", "/b?c"),
        ("HTTP://A.Example/b", "/b"),
        ("https://a.example/b", "/b"),
        ("http://a.example", "/"),
        ("http://a.example?c", "/?c"),
        ("http://a.example//b", "//b"),
        ("*", 400),
        ("", 400),
        ("a.example:443", 400),
        ("http://b.example/", 400),
        ("http://a.example:80/", 400),  # not what Host says
        ("http://u@a.example/", 400),
        ("http:///b", 400),
        ("ftp://a.example/", 400),
        ("http:/a", 400),
        ("javascript:alert(1)", 400),
        ("/a#b", 400),
        ("http://a.example/a#b", 400),
        ("/\xe4", 400),
    ],
)
def test_the_target(target: str, expected: str | int) -> None:
    verdict = judge(target=target)
    if isinstance(expected, int):
        assert status(verdict) == expected
    else:
        assert verdict == Head(expected, "a.example", 0)


def test_connect_is_not_served_whatever_it_names() -> None:
    for target in ("a.example:443", "/", "http://a.example/"):
        assert status(judge(method="CONNECT", target=target)) == 400


def test_the_limits() -> None:
    most = [(f"x-{n}", "y") for n in range(head.MAX_HEADERS - 1)]  # and Host
    assert status(judge(*most)) == 200 and status(judge(*most, ("z", ""))) == 431
    assert status(judge(target="/" + "a" * (head.MAX_TARGET - 1))) == 200
    assert status(judge(target="/" + "a" * head.MAX_TARGET)) == 414


def test_fields_that_may_repeat_and_those_that_may_not() -> None:
    assert status(judge(("x-a", "1"), ("x-a", "2"), ("cookie", "a=b"), ("cookie", "c=d"), ("via", "a"), ("via", "b"))) == 200
    for name in ("content-type", "expect", "origin", "x-request-id", "upgrade"):
        assert status(judge((name, "1"), (name, "1"))) == 400


def test_an_underscore_in_a_name() -> None:
    assert status(judge(("x_user_id", "1"))) == 400
    assert status(judge(("x-user-id", "a_b"))) == 200


FIELD = st.tuples(
    st.sampled_from(["host", "content-length", "transfer-encoding", "x-a", "expect"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12),
)


@given(st.lists(FIELD, max_size=6), st.text(st.characters(max_codepoint=255), max_size=30), st.sampled_from(["1.0", "1.1"]))
def test_every_head_has_a_verdict_and_no_accepted_one_is_ambiguous(
    fields: list[tuple[str, str]], target: str, version: str
) -> None:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    verdict = check(version, b"POST", target.encode("latin-1"), pairs, dict(pairs))
    names = [name for name, _ in fields]
    if isinstance(verdict, Refused):
        assert 400 <= verdict.status <= 505 and verdict.reason.isascii()
        return
    assert verdict.target.startswith("/") and verdict.target.isascii() and "#" not in verdict.target
    assert names.count("content-length") + names.count("transfer-encoding") <= 1 and names.count("host") <= 1
    assert version == "1.0" or "host" in names
    if verdict.length is None:
        assert version == "1.1" and dict(fields)["transfer-encoding"].lower() == "chunked"
    else:
        assert verdict.length == int(dict(fields).get("content-length", "0"))
