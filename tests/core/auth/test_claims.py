"""The claims that name a user, each missing, wrong and at its edge."""

from __future__ import annotations

import datetime
import uuid
from typing import Any
from unittest.mock import patch

import jwt as pyjwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.auth.claims import MAX_LEEWAY, Claims, check_claims

NOW = 1_790_000_000.0
ISSUER = "https://project.supabase.co/auth/v1"
SUB, SESSION = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
GOOD: dict[str, Any] = {
    "iss": ISSUER,
    "aud": "authenticated",
    "sub": SUB,
    "role": "authenticated",
    "exp": int(NOW) + 3600,
    "iat": int(NOW),
    "aal": "aal1",
    "session_id": SESSION,
    "is_anonymous": False,
    "email": "someone@example.com",
}


def check(leeway: float = 30.0, **changes: Any) -> Claims | str:
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return check_claims(claims, NOW, ISSUER, "authenticated", leeway)


def test_the_claims_of_a_user() -> None:
    assert check() == Claims(SUB, "authenticated", "aal1", SESSION, False, NOW + 3600, NOW)


@pytest.mark.parametrize("name", ["exp", "iss", "aud", "sub", "role"])
def test_each_required_claim_is_required(name: str) -> None:
    assert check(30.0, **{name: ...}) == name
    assert check(30.0, **{name: None}) == name


def test_the_published_keys_of_a_project_are_no_users() -> None:
    for role in ("anon", "service_role"):
        legacy = {"iss": "supabase", "ref": "project", "role": role, "iat": int(NOW), "exp": int(NOW) + 10**9}
        assert isinstance(check_claims(legacy, NOW, ISSUER, "authenticated"), str)
        assert check(role=role) == "role"  # not even with everything else right


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exp", "1790003600"),
        ("exp", True),
        ("exp", [1_790_003_600]),
        ("exp", {}),
        ("exp", float("inf")),
        ("exp", float("nan")),
        ("exp", 10**400),
        ("exp", -1),
        ("nbf", "0"),
        ("nbf", None),
        ("nbf", False),
        ("nbf", NOW + 31),
        ("iat", "0"),
        ("iat", NOW + 31),
        ("iss", "https://project.supabase.co/auth/v1/"),
        ("iss", "https://other.supabase.co/auth/v1"),
        ("iss", [ISSUER]),
        ("aud", "anon"),
        ("aud", []),
        ("aud", ["other"]),
        ("aud", "authenticated "),
        ("aud", {"authenticated": 1}),
        ("sub", ""),
        ("sub", 7),
        ("sub", "key:abcdef"),  # would be taken for an API key's subject
        ("sub", "two words"),
        ("sub", "line\r\nbreak"),
        ("sub", "\x00"),
        ("sub", "Jörg"),
        ("sub", "s" * 129),
        ("role", ""),
        ("role", ["authenticated"]),
        ("role", "a\nb"),
        ("aal", 2),
        ("aal", "a b"),
        ("session_id", 5),
        ("session_id", ""),
        ("session_id", "../../x y"),
        ("is_anonymous", "false"),
        ("is_anonymous", 0),
    ],
)
def test_a_wrong_claim_is_refused(name: str, value: Any) -> None:
    assert check(**{name: value}) == name


@pytest.mark.parametrize(
    ("leeway", "exp", "good"),
    [
        (0.0, NOW, False),  # "on or after" exp
        (0.0, NOW + 1, True),
        (30.0, NOW - 29.5, True),
        (30.0, NOW - 30, False),
        (3600.0, NOW - 29.5, True),
        (3600.0, NOW - 31, False),  # never more than 30 s, whatever the configuration says
    ],
)
def test_the_edge_of_exp(leeway: float, exp: float, good: bool) -> None:
    assert isinstance(check(leeway, exp=exp), Claims) is good


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_the_edge_of_what_lies_ahead(name: str) -> None:
    assert isinstance(check(**{name: NOW + MAX_LEEWAY}), Claims)
    assert check(**{name: NOW + MAX_LEEWAY + 1}) == name
    assert check(0.0, **{name: NOW + 1}) == name


@pytest.mark.parametrize("name", ["nbf", "iat", "aal", "session_id", "is_anonymous", "email"])
def test_what_may_be_absent(name: str) -> None:
    assert isinstance(check(30.0, **{name: ...}), Claims)


def test_one_of_several_audiences_is_enough() -> None:
    assert isinstance(check(aud=["other", "authenticated"]), Claims)


def test_a_role_of_the_project_and_an_anonymous_user_are_users() -> None:
    claims = check(role="editor", is_anonymous=True)
    assert isinstance(claims, Claims)
    assert (claims.role, claims.is_anonymous) == ("editor", True)


JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=3)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON, max_size=3))
def test_no_claims_raise_and_those_taken_are_safe_to_pass_on(changes: dict[str, Any]) -> None:
    claims = check(**changes)
    if isinstance(claims, Claims):
        for text in (claims.sub, claims.role, claims.session_id or "x", claims.aal or "x"):
            assert text.isascii() and text.isprintable() and ":" not in text and " " not in text


@given(exp=st.integers(-100, 100), nbf=st.integers(-100, 100), iat=st.integers(-100, 100), leeway=st.sampled_from([0, 10, 30]))
def test_times_are_judged_as_another_library_does(exp: int, nbf: int, iat: int, leeway: int) -> None:
    now = int(NOW)
    changes = {"exp": now + exp, "nbf": now + nbf, "iat": now + iat}
    text = pyjwt.encode({**GOOD, **changes}, "k" * 32, algorithm="HS256")

    class Frozen(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Frozen:
            return cls.fromtimestamp(now, tz)

    try:
        with patch("jwt.api_jwt.datetime", Frozen):
            pyjwt.decode(text, "k" * 32, algorithms=["HS256"], audience="authenticated", issuer=ISSUER, leeway=leeway)
        oracle = True
    except pyjwt.InvalidTokenError:
        oracle = False
    assert isinstance(check(float(leeway), **changes), Claims) is oracle
