"""Signing keys: which are usable, which one a token gets, and how seldom the set is fetched."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from tests.support.supabase import public_jwk
from wws.core.auth.jwks import (
    COOL_DOWN,
    GRACE,
    MAX_AGE,
    MAX_BYTES,
    MAX_KEYS,
    Key,
    Loads,
    parse_keys,
    plan_load,
    select_key,
)

ES256 = public_jwk("ES256", "e")
RS256 = public_jwk("RS256", "r")
EDDSA = public_jwk("EdDSA", "d")


def keys(*entries: Any) -> tuple[Key, ...]:
    parsed = parse_keys(json.dumps({"keys": list(entries)}).encode())
    assert parsed is not None
    return parsed


def test_the_keys_of_a_project() -> None:
    assert [(key.kid, key.alg) for key in keys(ES256, RS256, EDDSA)] == [("e", "ES256"), ("r", "RS256"), ("d", "EdDSA")]


def test_only_public_members_are_kept() -> None:
    (key,) = keys({**ES256, "d": "private", "x5u": "https://evil.example", "ext": True})
    assert sorted(key.jwk) == ["crv", "kty", "x", "y"]


def test_the_set_of_a_project_with_a_shared_secret_is_empty_and_good() -> None:
    assert keys() == ()


def without(jwk: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name not in names}


def test_alg_use_and_key_ops_may_be_absent() -> None:
    assert [key.alg for key in keys(*(without(jwk, "alg", "use", "key_ops") for jwk in (ES256, RS256, EDDSA)))] == [
        "ES256",
        "RS256",
        "EdDSA",
    ]


WEAK = json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key()))  # noqa: S505


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "ES256"},
        {**ES256, "alg": "HS256"},  # the public key as an HMAC secret
        {**RS256, "alg": "HS256"},
        {**RS256, "alg": "RS512"},
        {**RS256, "alg": "PS256"},
        {**RS256, "alg": None},
        {**ES256, "alg": "none"},
        {**ES256, "crv": "P-384"},
        {**ES256, "crv": "Ed25519"},
        {**ES256, "crv": ["P-256"]},
        {**ES256, "kty": ["EC"]},
        {**ES256, "kty": "RSA"},
        {**EDDSA, "crv": "X25519"},
        {**ES256, "use": "enc"},
        {**ES256, "use": None},
        {**ES256, "key_ops": ["sign"]},
        {**ES256, "key_ops": "verify"},
        {**ES256, "key_ops": []},
        {**ES256, "kid": 5},
        {**ES256, "x": 5},
        {**ES256, "x": ""},
        without(ES256, "y"),
        without(RS256, "e"),
        without(RS256, "n"),
        {**RS256, "n": "not base64url!"},
        {**WEAK, "kid": "w", "alg": "RS256"},
        without(ES256, "kty"),
        {},
        None,
        "key",
        [ES256],
    ],
)
def test_a_key_that_cannot_be_used_is_left_out(entry: Any) -> None:
    assert [key.kid for key in keys(entry, RS256)] == ["r"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": null}',
        b'{"keys": {"a": 1}}',
        b'{"keys": [',
        json.dumps({"keys": [ES256] * (MAX_KEYS + 1)}).encode(),
        json.dumps({"keys": [ES256], "pad": "x" * MAX_BYTES}).encode(),
    ],
)
def test_what_is_no_set_or_is_too_large_is_refused(body: bytes) -> None:
    assert parse_keys(body) is None


def test_as_many_keys_as_are_allowed() -> None:
    assert len(keys(*[{**ES256, "kid": str(n)} for n in range(MAX_KEYS)])) == MAX_KEYS


@pytest.mark.parametrize(
    ("alg", "kid", "found"),
    [
        ("ES256", "e", "e"),
        ("RS256", "r", "r"),
        ("EdDSA", "d", "d"),
        ("ES256", None, "e"),  # no kid: the only key of the algorithm
        ("ES256", "nobody", "unknown"),
        ("ES256", "", "unknown"),
        ("RS256", "e", "refused"),  # a key of another algorithm
        ("HS256", "e", "refused"),
        ("none", "e", "refused"),
        ("HS256", None, "refused"),
    ],
)
def test_the_key_decides_the_algorithm(alg: str, kid: str | None, found: str) -> None:
    key = select_key(keys(ES256, RS256, EDDSA), alg, kid)
    assert (key if isinstance(key, str) else key.kid) == found
    assert isinstance(key, str) or key.alg == alg


def test_one_matching_key_exactly() -> None:
    other = public_jwk("ES256", "e", "other")
    assert select_key(keys(ES256, other), "ES256", "e") == "refused"
    assert select_key(keys(ES256, {**other, "kid": "f"}), "ES256", None) == "refused"
    assert select_key((), "ES256", None) == "unknown"


@given(st.sampled_from(["ES256", "RS256", "EdDSA", "HS256", "none", "NONE", ""]), st.none() | st.text(max_size=4))
def test_a_selected_key_is_always_of_the_asked_algorithm_and_name(alg: str, kid: str | None) -> None:
    key = select_key(keys(ES256, RS256, EDDSA), alg, kid)
    assert isinstance(key, str) or (key.alg == alg and kid in (None, key.kid))


@pytest.mark.parametrize(
    ("loads", "now", "unknown", "plan"),
    [
        (Loads(), 0.0, False, "load"),
        (Loads(None, 0.0, failed=True), COOL_DOWN - 1, False, "unavailable"),
        (Loads(None, 0.0, failed=True), COOL_DOWN, False, "load"),
        (Loads(None, 0.0, running=True), 1.0, False, "load"),  # of another request, whose load we may not wait for
        (Loads(0.0, 0.0), MAX_AGE - 1, False, "use"),
        (Loads(0.0, 0.0), MAX_AGE, False, "load"),
        (Loads(0.0, MAX_AGE, failed=True), MAX_AGE + 1, False, "use"),  # the last good set, in its grace
        (Loads(0.0, MAX_AGE + GRACE - 5, failed=True), MAX_AGE + GRACE - 1, False, "use"),
        (Loads(0.0, MAX_AGE + GRACE - 5, failed=True), MAX_AGE + GRACE, False, "unavailable"),
        (Loads(0.0, MAX_AGE + GRACE - 5, failed=True), MAX_AGE + GRACE - 5 + COOL_DOWN, False, "load"),
        (Loads(0.0, 0.0), 1.0, True, "use"),  # loaded just now: the token's key does not exist
        (Loads(0.0, 0.0), COOL_DOWN - 1, True, "use"),
        (Loads(0.0, 0.0), COOL_DOWN, True, "load"),
        (Loads(0.0, 100.0, failed=True), 101.0, True, "unavailable"),  # a failed load proves nothing
        (Loads(0.0, 100.0, running=True), 101.0, True, "unavailable"),
    ],
)
def test_when_the_set_is_fetched(loads: Loads, now: float, unknown: bool, plan: str) -> None:
    assert plan_load(loads, now, unknown) == plan


@given(st.integers(0, 2**32), st.booleans())
def test_a_flood_of_unknown_kids_causes_one_load_in_30_seconds(seed: int, failing: bool) -> None:
    chance = random.Random(seed)
    now, loads, times = 1_000.0, Loads(), []
    for _ in range(1_000):
        now += chance.expovariate(10.0)
        for unknown in (False, True):
            if plan_load(loads, now, unknown) == "load":
                times.append(now)
                failed = failing and chance.random() < 0.5
                loads = Loads(loads.loaded_at if failed else now, now, failed)
    assert all(later - earlier >= COOL_DOWN for earlier, later in zip(times, times[1:], strict=False))
