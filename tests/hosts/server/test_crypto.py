"""Signatures by `cryptography`: good ones, and everything that must not pass for one."""

from __future__ import annotations

from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from tests.support.supabase import private_key, public_jwk
from wws.core.auth import base64url
from wws.hosts.server.crypto import MAX_LOADED, CryptographyVerifier

ALGORITHMS = ["ES256", "RS256", "EdDSA"]


def signed(alg: str, name: str = "") -> tuple[bytes, bytes]:
    token = pyjwt.encode({"sub": "someone"}, private_key(alg, name), algorithm=alg)
    data, _, signature = token.encode().rpartition(b".")
    return data, base64url.decode(signature)


async def verify(alg: str, jwk: Any, data: bytes, signature: bytes) -> bool:
    return await CryptographyVerifier().verify(alg, jwk, data, signature)


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_good_signature(alg: str) -> None:
    assert await verify(alg, public_jwk(alg), *signed(alg))


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_signature_of_another_key(alg: str) -> None:
    assert not await verify(alg, public_jwk(alg), *signed(alg, "another"))


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_signature_over_other_data(alg: str) -> None:
    data, signature = signed(alg)
    assert not await verify(alg, public_jwk(alg), data + b"x", signature)


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("other", [*ALGORITHMS, "HS256", "none", "ES512", ""])
async def test_a_key_serves_its_own_algorithm_only(alg: str, other: str) -> None:
    assert await verify(other, public_jwk(alg), *signed(alg)) is (alg == other)


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_truncated_extended_and_empty_signatures(alg: str) -> None:
    data, signature = signed(alg)
    for wrong in (signature[:-1], signature[1:], signature + b"\0", b"\0" + signature, b"", b"\0" * len(signature)):
        assert not await verify(alg, public_jwk(alg), data, wrong)


async def test_a_der_signature_is_no_es256_signature() -> None:
    key = private_key("ES256")
    assert not await verify("ES256", public_jwk("ES256"), b"data", key.sign(b"data", ec.ECDSA(SHA256())))


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_no_bit_of_a_signature_can_be_changed(alg: str) -> None:
    data, signature = signed(alg)
    verifier, jwk = CryptographyVerifier(), public_jwk(alg)
    for at in range(0, len(signature), 7):
        changed = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
        assert not await verifier.verify(alg, jwk, data, changed)


def altered(alg: str, **members: Any) -> dict[str, Any]:
    return {name: value for name, value in {**public_jwk(alg), **members}.items() if value is not ...}


SMALL = rsa.generate_private_key(65537, 1024)  # noqa: S505


@pytest.mark.parametrize(
    ("alg", "jwk"),
    [
        ("ES256", altered("ES256", x=...)),
        ("ES256", altered("ES256", x="")),
        ("ES256", altered("ES256", x="AA")),
        ("ES256", altered("ES256", x="A" * 43)),  # no point of the curve
        ("ES256", altered("ES256", x=5)),
        ("ES256", altered("ES256", x=["AA"])),
        ("ES256", altered("ES256", x=public_jwk("ES256")["x"] + "=")),
        ("ES256", altered("ES256", x="ä")),
        ("ES256", altered("ES256", crv="P-384")),
        ("ES256", altered("ES256", kty="RSA")),
        ("RS256", altered("RS256", n=...)),
        ("RS256", altered("RS256", e="AA")),
        ("RS256", altered("RS256", e="Ag")),  # an even exponent
        ("RS256", altered("RS256", n=base64url.encode(SMALL.public_key().public_numbers().n.to_bytes(128, "big")).decode())),
        ("RS256", altered("RS256", n=base64url.encode(b"\xff" * 2000).decode())),
        ("EdDSA", altered("EdDSA", x="AAAA")),
        ("EdDSA", altered("EdDSA", crv="Ed448")),
        ("EdDSA", {}),
    ],
)
async def test_a_key_that_cannot_be_used_is_false_and_no_error(alg: str, jwk: dict[str, Any]) -> None:
    verifier = CryptographyVerifier()
    for _ in range(2):
        assert not await verifier.verify(alg, jwk, *signed(alg))


async def test_a_key_is_loaded_once_and_few_are_kept() -> None:
    verifier = CryptographyVerifier()
    good = public_jwk("EdDSA")
    for number in range(3 * MAX_LOADED):
        jwk = {**good, "x": base64url.encode((number + 2).to_bytes(32, "big")).decode()}
        assert not await verifier.verify("EdDSA", jwk, b"data", b"\xff" * 64)
        assert len(verifier._loaded) <= MAX_LOADED
    assert await verifier.verify("EdDSA", good, *signed("EdDSA"))
    before = verifier._loaded[next(reversed(verifier._loaded))]
    assert await verifier.verify("EdDSA", {**good, "kid": "renamed"}, *signed("EdDSA"))
    assert verifier._loaded[next(reversed(verifier._loaded))] is before


@given(st.binary(max_size=100))
async def test_no_signature_raises(signature: bytes) -> None:
    for alg in ALGORITHMS:
        assert not await verify(alg, public_jwk(alg), b"data", signature)
