"""What may be stored (rules C2 and C3), row by row, and what of it is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.cache.directives import in_force
from wws.core.cache.entry import Entry
from wws.core.cache.freshness import Terms
from wws.core.cache.storable import kept, refusal, useless
from wws.core.policy import CachePolicy

Pair = tuple[bytes, bytes]
FIXED = CachePolicy("fixed")
OBEY = CachePolicy("obey-origin")
LIFETIME = (b"cache-control", b"max-age=60")


def refused(policy: CachePolicy, *headers: Pair, status: int = 200, guarded: bool = False) -> str | None:
    return refusal(status, list(headers), in_force(list(headers)), policy, guarded)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([LIFETIME], None),
        ([(b"cache-control", b"s-maxage=60")], None),
        ([(b"cache-control", b"max-age=0")], None),
        ([(b"cache-control", b"no-cache")], None),
        ([(b"expires", b"Thu, 18 Aug 2050 02:01:18 GMT")], None),
        ([(b"cdn-cache-control", b"max-age=60"), (b"cache-control", b"no-store")], None),
        ([LIFETIME, (b"vary", b"accept-encoding, cookie")], None),
        ([LIFETIME, (b"content-type", b"text/event-streaming")], "event-stream"),
        # No lifetime, and none is guessed.
        ([], "no-lifetime"),
        ([(b"etag", b'"a"'), (b"last-modified", b"Thu, 18 Aug 2005 02:01:18 GMT")], "no-lifetime"),
        ([(b"cache-control", b"public")], "no-lifetime"),
        ([(b"cache-control", b"must-revalidate")], "no-lifetime"),
        ([(b"cdn-cache-control", b"foo"), (b"expires", b"Thu, 18 Aug 2050 02:01:18 GMT")], "no-lifetime"),
        # C3
        ([(b"cache-control", b"max-age=60, no-store")], "no-store"),
        ([(b"cache-control", b"max-age=60, private")], "private"),
        ([(b"cache-control", b'max-age=60, private="x-name"')], "private"),
        ([(b"cdn-cache-control", b"private"), LIFETIME], "private"),
        ([(b"cdn-cache-control", b"no-store"), LIFETIME], "no-store"),
        ([LIFETIME, (b"set-cookie", b"a=b")], "set-cookie"),
        ([LIFETIME, (b"set-cookie2", b"a=b")], "set-cookie"),
        ([LIFETIME, (b"vary", b"*")], "vary"),
        ([LIFETIME, (b"vary", b"accept"), (b"vary", b", *")], "vary"),
        ([LIFETIME, (b"content-range", b"bytes 0-1/2")], "partial"),
        ([LIFETIME, (b"content-type", b"text/event-stream")], "event-stream"),
        ([LIFETIME, (b"content-type", b"Text/Event-Stream; charset=utf-8")], "event-stream"),
        # must-understand: of a status we understand it lifts no-store.
        ([(b"cache-control", b"max-age=60, no-store, must-understand")], None),
    ],
)
def test_obeying_the_origin(headers: list[Pair], expected: str | None) -> None:
    assert refused(OBEY, *headers) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], None),
        ([(b"etag", b'"a"')], None),
        ([(b"cache-control", b"private")], "private"),
        ([(b"cache-control", b"no-store")], "no-store"),
        ([(b"set-cookie", b"a=b")], "set-cookie"),
        ([(b"vary", b"*")], "vary"),
        ([(b"content-type", b"text/event-stream")], "event-stream"),
    ],
)
def test_under_a_policy_of_our_own(headers: list[Pair], expected: str | None) -> None:
    assert refused(FIXED, *headers) == expected


STATED = {200, 203, 204, 226, 299, 300, 301, 302, 303, 307, 308, 400, 404, 405, 410, 414, 418, 451, 499}
UNSTATED = {200, 203, 204, 300, 301, 308, 404, 410}
NEVER = {206, 304, 401, 403, 407, 429, 500, 501, 502, 503, 504, 599, 999}


@pytest.mark.parametrize("status", sorted(STATED | NEVER))
@pytest.mark.parametrize("policy", [FIXED, OBEY])
def test_by_status(status: int, policy: CachePolicy) -> None:
    assert (refused(policy, LIFETIME, status=status) is None) == (status in STATED)
    without = refused(policy, status=status)
    assert (without is None) == (status in UNSTATED and policy is FIXED)


def test_must_understand_of_a_status_that_we_do_not() -> None:
    line = (b"cache-control", b"max-age=60, must-understand")
    assert refused(OBEY, line, status=200) is None
    assert refused(OBEY, line, status=299) == "must-understand"


@pytest.mark.parametrize("policy", [FIXED, OBEY])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"max-age=60", "authorization"),
        (b"max-age=60, proxy-revalidate", "authorization"),
        (b"max-age=60, public", None),
        (b"max-age=60, must-revalidate", None),
        (b"s-maxage=60", None),
        (b"max-age=60, public, private", "private"),
    ],
)
def test_c2_for_others_only_what_says_so(policy: CachePolicy, line: bytes, expected: str | None) -> None:
    assert refused(policy, (b"cache-control", line), guarded=True) == expected


def test_useless_is_what_came_too_old_and_cannot_be_validated() -> None:
    old = Entry(200, (), b"", 0.0, 100.0)
    assert useless(old, Terms(60, 100, 100, validate=False))
    assert not useless(old, Terms(60, 101, 60, validate=False))
    assert not useless(old, Terms(60, 60, 101, validate=False))
    assert not useless(old, Terms(60, 60, 60, validate=True))


def test_kept_are_the_fields_of_the_resource() -> None:
    headers = [
        (b"content-type", b"text/html"),
        (b"connection", b"close, X-Once"),
        (b"x-once", b"1"),
        (b"keep-alive", b"timeout=5"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"5"),
        (b"trailer", b"x"),
        (b"proxy-authenticate", b"Basic"),
        (b"upgrade", b"h2c"),
        (b"set-cookie", b"a=b"),
        (b"age", b"7"),
        (b"ratelimit", b'"a";r=1'),
        (b"ratelimit-policy", b'"a";q=1'),
        (b"x-ratelimit-remaining-requests", b"3"),
        (b"retry-after", b"1"),
        (b"x-request-id", b"abc"),
        (b"x-wws-provider", b"zai"),
        (b"server-timing", b"db;dur=5"),
        (b"etag", b'"a"'),
        (b"cache-control", b"max-age=60"),
        (b"x-frame-options", b"deny"),
        (b"date", b"Thu, 18 Aug 2050 02:01:18 GMT"),
    ]
    assert [name for name, _ in kept(headers)] == [b"content-type", b"etag", b"cache-control", b"x-frame-options", b"date"]


_NAMES = st.sampled_from([b"connection", b"x-a", b"x-b", b"set-cookie", b"age", b"retry-after", b"etag", b"cache-control"])
_HEADERS = st.lists(
    st.tuples(_NAMES, st.sampled_from([b"x-a", b"x-a, x-b", b"close", b"no-store", b"private", b"max-age=9"])), max_size=8
)


@given(_HEADERS)
def test_nothing_of_one_exchange_is_ever_kept(headers: list[Pair]) -> None:
    named = {name.strip() for field, value in headers if field == b"connection" for name in value.split(b",")}
    for name, value in kept(headers):
        assert name not in {b"connection", b"set-cookie", b"age", b"retry-after"}
        assert name not in named
        assert (name, value) in headers


@given(_HEADERS, st.integers(200, 599), st.sampled_from([FIXED, OBEY]), st.booleans())
def test_what_may_be_stored_breaks_no_rule(headers: list[Pair], status: int, policy: CachePolicy, guarded: bool) -> None:
    said = in_force(headers)
    if refusal(status, headers, said, policy, guarded) is None:
        assert not said.no_store
        assert not said.private
        assert all(name != b"set-cookie" for name, _ in headers)
        assert status < 500
        assert status not in NEVER
        assert said.shareable or not guarded
