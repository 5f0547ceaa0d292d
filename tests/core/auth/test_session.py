"""The cached verdict: its record, how long it lives and what a request may do with it at each age."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.auth.claims import Claims
from wws.core.auth.session import (
    MIN_STORED,
    Denied,
    Session,
    backoff,
    decide,
    decode,
    encode,
    gone_key,
    gone_subject_key,
    gone_ttl,
    issued_before,
    new_session,
    recheck,
    session_key,
    stored_ttl,
    user_of,
)

NOW = 1_790_000_000.0
CLAIMS = Claims("sub", "authenticated", "aal2", "sess", False, NOW + 3600, NOW - 10)
SESSION = new_session(CLAIMS, NOW, 3600.0, online=True)

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
TIMES = st.floats(0, 4e9)
SESSIONS = st.builds(Session, NAMES, NAMES, st.none() | NAMES, st.none() | NAMES, st.booleans(), TIMES, TIMES, TIMES, TIMES)


def test_the_keys_of_the_store() -> None:
    assert session_key("ab12") == "v1:sess:ab12"
    assert gone_key("sess") == "v1:gone:sess"
    assert gone_subject_key("sub") == "v1:gonesub:sub"


@given(SESSIONS | st.builds(Denied, st.sampled_from(["invalid_api_key", "user_banned"]), TIMES))
def test_a_record_is_read_as_it_was_written(record: Session | Denied) -> None:
    assert decode(encode(record)) == record


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"1",
        b"null",
        b'"ok"',
        b'"ab"',
        b"[]",
        b'["ok"]',
        b'["ok","sub"]',
        b'["other",1]',
        b'[["ok"],1]',
        b"[1,2]",
        b"\xff",
    ],
)
def test_what_is_no_record_is_as_good_as_none(data: bytes) -> None:
    assert decode(data) is None


@given(st.binary(max_size=60))
def test_no_bytes_raise(data: bytes) -> None:
    assert decode(data) is None


def test_the_user_of_a_session() -> None:
    user = user_of(SESSION, "cache")
    assert (user.id, user.role, user.aal, user.session_id) == ("sub", "authenticated", "aal2", "sess")
    assert (user.source, user.scopes, user.key_id, user.expires_at) == ("cache", None, None, NOW + 3600)


@given(st.floats(1, 1e6), st.floats(-30, 1e6))
def test_a_verdict_never_outlives_its_token_nor_the_configured_time(session_ttl: float, left: float) -> None:
    session = new_session(CLAIMS._replace(exp=NOW + left), NOW, session_ttl, online=False)
    assert session.until == min(NOW + session_ttl, NOW + left)
    again = recheck(session, NOW + 5, session_ttl)
    assert again.until == min(NOW + 5 + session_ttl, NOW + left)
    assert (again.checked_at, again.online_at) == (NOW + 5, NOW + 5)


def test_a_locally_verified_token_has_not_been_checked_online() -> None:
    assert new_session(CLAIMS, NOW, 3600.0, online=False).online_at == 0.0
    assert new_session(CLAIMS, NOW, 3600.0, online=True).online_at == NOW


@pytest.mark.parametrize(("left", "ttl"), [(3600, 3600), (60, 60), (5, MIN_STORED), (0, None), (-1, None)])
def test_the_time_the_store_keeps_a_record(left: float, ttl: float | None) -> None:
    assert stored_ttl(NOW + left, NOW) == ttl


def test_a_tombstone_outlives_every_token_it_is_for() -> None:
    assert gone_ttl(NOW + 1000, NOW, 30.0) == 1030.0
    assert gone_ttl(NOW - 20, NOW, 30.0) == MIN_STORED


@pytest.mark.parametrize(
    ("age", "action"),
    [
        (-3600.0, "wait"),  # the clock was set back by an hour: the age means nothing
        (-60.0, "fresh"),  # a machine whose clock is a little ahead wrote it
        (0.0, "fresh"),
        (300.0, "fresh"),
        (300.1, "recheck"),
        (600.0, "recheck"),
        (600.1, "wait"),
        (3599.0, "wait"),
        (3600.0, "expired"),
        (9999.0, "expired"),
    ],
)
def test_what_a_request_may_do_at_each_age(age: float, action: str) -> None:
    assert decide(SESSION, NOW + age, 300.0, None) == action


@pytest.mark.parametrize(
    ("fresh_auth", "age", "action"),
    [
        (0.0, 0.0, "must"),
        (60.0, 0.0, "fresh"),
        (60.0, 60.0, "fresh"),
        (60.0, 60.1, "must"),
        (300.0, 301.0, "must"),
        (3600.0, 301.0, "recheck"),
        (3600.0, 700.0, "wait"),
        (3600.0, 3600.0, "expired"),
    ],
)
def test_a_route_may_set_a_ceiling(fresh_auth: float, age: float, action: str) -> None:
    assert decide(SESSION, NOW + age, 300.0, fresh_auth) == action


def test_a_ceiling_counts_from_a_check_online() -> None:
    local = new_session(CLAIMS, NOW, 3600.0, online=False)
    assert decide(local, NOW, 300.0, 3600.0) == "must"
    assert decide(local, NOW, 300.0, None) == "fresh"


@given(SESSIONS, TIMES, st.floats(1, 3600), st.none() | st.floats(0, 3600))
def test_no_verdict_is_served_past_its_end_or_its_ceiling(
    session: Session, now: float, recheck_after: float, fresh_auth: float | None
) -> None:
    action = decide(session, now, recheck_after, fresh_auth)
    if now >= session.until:
        assert action == "expired"
    if action == "fresh":
        assert now - session.checked_at <= recheck_after
    if action in ("fresh", "recheck"):
        assert now - session.checked_at <= 2 * recheck_after
    if action in ("fresh", "recheck", "wait") and fresh_auth is not None:
        assert now - session.online_at <= fresh_auth


@pytest.mark.parametrize(
    ("iat", "mark", "gone"),
    [
        (NOW, b"1790000000.0", True),
        (NOW - 1, b"1790000000.0", True),
        (NOW + 1, b"1790000000.0", False),
        (None, b"1", True),
        (5.0, b"?", True),
    ],
)
def test_a_purged_subject_keeps_no_token_of_before(iat: float | None, mark: bytes, gone: bool) -> None:
    assert issued_before(iat, mark) is gone


def test_the_pause_grows_to_its_ceiling() -> None:
    assert [backoff(n, 300.0) for n in (1, 2, 3, 6, 7, 8, 1000)] == [5.0, 10.0, 20.0, 160.0, 300.0, 300.0, 300.0]
    assert backoff(3, 1.0) == 5.0
