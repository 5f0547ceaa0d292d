from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.auth.base64url import encode
from wws.core.route.rollout import PLACES, chosen, place, subject


def token(sub: object, jti: str = "1") -> bytes:
    claims = encode(json.dumps({"sub": sub, "jti": jti}).encode())
    return b"Bearer " + encode(b'{"alg":"ES256"}') + b"." + claims + b"." + encode(jti.encode())


def test_a_session_is_its_user_whatever_the_token() -> None:
    one, two = token("u1", "1"), token("u1", "2")
    assert subject({b"authorization": one}, "") == subject({b"authorization": two}, "10.0.0.1") == b"u1"
    assert subject({b"authorization": token("u2")}, "") == b"u2"


@pytest.mark.parametrize(
    ("first", "who"),
    [
        ({}, b"10.0.0.9"),
        ({b"authorization": b"Bearer wws_live_abc"}, b"Bearer wws_live_abc"),
        ({b"x-api-key": b"wws_live_abc"}, b"wws_live_abc"),
        ({b"authorization": b"Bearer a.%%%.c"}, b"Bearer a.%%%.c"),
        ({b"authorization": b"Bearer a.AAAA.c"}, b"Bearer a.AAAA.c"),
        ({b"authorization": b"x" * 9000}, b"10.0.0.9"),
    ],
)
def test_others_are_their_credential_or_address(first: dict[bytes, bytes], who: bytes) -> None:
    assert subject(first, "10.0.0.9") == who


def test_a_subject_that_is_no_text() -> None:
    given = token(7)
    assert subject({b"authorization": given}, "") == given


@given(st.dictionaries(st.sampled_from([b"authorization", b"x-api-key"]), st.binary(max_size=200)), st.text(max_size=40))
def test_any_bytes_are_somebody(first: dict[bytes, bytes], client: str) -> None:
    assert isinstance(subject(first, client), bytes)


@given(st.binary(), st.text(max_size=80), st.floats(0, 100), st.floats(0, 100))
def test_nobody_goes_back_while_the_share_grows(who: bytes, version: str, one: float, two: float) -> None:
    less, more = sorted((one, two))
    assert not chosen(who, version, less) or chosen(who, version, more)
    assert chosen(who, version, 100) and not chosen(who, version, 0)
    assert 0 <= place(who, version) < PLACES


def test_the_share_is_what_it_says() -> None:
    for percent in (1, 10, 50, 90):
        got = sum(chosen(b"user-%d" % number, "abc", percent) for number in range(20_000))
        assert abs(got / 200 - percent) < 1.5


def test_another_version_picks_others() -> None:
    callers = [b"user-%d" % number for number in range(2000)]
    both = [who for who in callers if chosen(who, "a", 50) and chosen(who, "b", 50)]
    assert 350 < len(both) < 650
