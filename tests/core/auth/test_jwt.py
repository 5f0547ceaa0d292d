"""Tokens taken apart: what RFC 8725 asks to be refused before anything is verified."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt as pyjwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.supabase import private_key
from wws.core.auth.bearer import MAX_CREDENTIAL
from wws.core.auth.jwt import parse_token


def b64(data: bytes | str | dict[str, Any]) -> bytes:
    raw = json.dumps(data).encode() if isinstance(data, dict) else data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


HEADER = {"alg": "ES256", "typ": "JWT", "kid": "k"}
CLAIMS = {"sub": "someone", "exp": 2_000_000_000}
SIGNATURE = b64(b"\x01" * 64)


def token(header: Any = HEADER, claims: Any = CLAIMS, signature: bytes = SIGNATURE) -> bytes:
    return b".".join([b64(header), b64(claims), signature])


def test_the_parts_of_a_token() -> None:
    parsed = parse_token(token())
    assert parsed is not None
    assert (parsed.alg, parsed.kid, parsed.claims) == ("ES256", "k", CLAIMS)
    assert parsed.signed == b64(HEADER) + b"." + b64(CLAIMS)
    assert parsed.signature == b"\x01" * 64


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA", "HS256"])
@given(extra=st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers() | st.booleans() | st.none(), max_size=5))
def test_what_another_library_signs_is_taken_apart_alike(alg: str, extra: dict[str, Any]) -> None:
    claims = {**extra, "sub": "someone", "exp": 2_000_000_000, "iat": 1, "nbf": 1, "iss": "i", "aud": "a", "jti": "j"}
    text = pyjwt.encode(claims, private_key(alg), algorithm=alg, headers={"kid": "k"})
    parsed = parse_token(text.encode())
    oracle = pyjwt.decode_complete(text, options={"verify_signature": False})
    assert parsed is not None
    assert (parsed.alg, parsed.kid, parsed.claims) == (oracle["header"]["alg"], oracle["header"]["kid"], oracle["payload"])
    assert parsed.signature == oracle["signature"]


def test_a_kid_may_be_absent() -> None:
    parsed = parse_token(token({"alg": "ES256", "typ": "JWT"}))
    assert parsed is not None and parsed.kid is None


def test_keys_named_by_the_token_are_not_looked_at() -> None:
    header = {**HEADER, "jku": "https://evil.example/keys", "x5u": "https://evil.example/x", "jwk": {"kty": "oct", "k": "AA"}}
    parsed = parse_token(token(header))
    assert parsed is not None
    assert parsed.alg == "ES256" and "evil" not in repr(parsed)


def header_with(**members: Any) -> bytes:
    return token({name: value for name, value in {**HEADER, **members}.items() if value is not ...})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"..",
        b"a.b",
        b"a.b.c.d",
        token() + b".",
        token() + b"=",
        token(signature=b""),
        token(signature=SIGNATURE[:-1] + b"F"),  # unused bits that are not zero
        token(signature=SIGNATURE + b"=="),
        token(signature=SIGNATURE + b"\n"),
        b64(HEADER) + b"=." + b64(CLAIMS) + b"." + SIGNATURE,
        b64(HEADER) + b"." + b64(CLAIMS) + b" ." + SIGNATURE,
        token(header="[]"),
        token(header='"ES256"'),
        token(header="not json"),
        token(header=b"\xff\xfe"),
        token(claims="[1]"),
        token(claims="null"),
        token(claims='{"sub":"a"} '[:-2]),
        token(claims=b'{"sub":"\xff"}'),
        token(claims='{"exp":NaN}'),
        token(claims='{"exp":Infinity}'),
        token(claims='{"a":' + "[" * 3000 + "]" * 3000 + "}"),
        token(header='{"alg":"ES256","alg":"HS256","typ":"JWT"}'),  # one name twice
        token(claims='{"sub":"a","sub":"b"}'),
        token(claims='{"sub":"a","s\\u0075b":"b"}'),
        token(claims='{"x":{"y":1,"y":2}}'),
        header_with(crit=["exp"]),
        header_with(crit=[]),
        header_with(b64=False, crit=["b64"]),
        header_with(typ=...),
        header_with(typ="at+jwt"),
        header_with(typ="JOSE"),
        header_with(typ=None),
        header_with(typ=["JWT"]),
        header_with(alg=...),
        header_with(alg=None),
        header_with(alg=["ES256"]),
        header_with(kid=7),
        header_with(kid={"k": 1}),
        header_with(kid="k" * 257),
        token(claims={"x": "y" * MAX_CREDENTIAL}),
    ],
)
def test_what_is_not_acceptable_is_refused(text: bytes) -> None:
    assert parse_token(text) is None


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    assert parse_token(data) is None or data.count(b".") == 2


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=20))
def test_no_parts_raise(header: bytes, claims: bytes, signature: bytes) -> None:
    found = parse_token(b".".join([b64(header), b64(claims), b64(signature)]))
    assert found is None or (header[:1] != b"" and claims[:1] != b"")


def test_a_token_does_not_show_itself() -> None:
    assert "someone" not in repr(parse_token(token()))
