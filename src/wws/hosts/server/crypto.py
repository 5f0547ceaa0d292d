"""Public-key signatures by `cryptography`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from wws.core.auth import base64url
from wws.core.auth.jwks import MIN_RSA_BITS

__all__ = ["CryptographyVerifier"]

MAX_RSA_BITS = 8192
"""A verification takes about 0.3 ms with a key of this size; a larger one would hold up the event loop."""
MAX_LOADED = 64
"""Keys kept ready for use: twice the keys of a set."""
_COORDINATE = 32  # RFC 7518 section 6.2.1.2: the octets of a P-256 coordinate, leading zeros included

Check = Callable[[bytes, bytes], None]
"""Raises `InvalidSignature` unless the signature (second) is good for the data (first)."""


def _octets(jwk: Mapping[str, Any], member: str) -> bytes:
    return base64url.decode(jwk[member].encode("ascii"))


def _number(jwk: Mapping[str, Any], member: str) -> int:
    return int.from_bytes(_octets(jwk, member), "big")


def _es256(jwk: Mapping[str, Any]) -> Check:
    if (
        (jwk["kty"], jwk["crv"]) != ("EC", "P-256")
        or len(_octets(jwk, "x")) != _COORDINATE
        or len(_octets(jwk, "y")) != _COORDINATE
    ):
        raise ValueError("not a P-256 key")
    key = EllipticCurvePublicNumbers(_number(jwk, "x"), _number(jwk, "y"), SECP256R1()).public_key()
    scheme = ECDSA(SHA256())

    def check(signed: bytes, signature: bytes) -> None:
        # RFC 7518 section 3.4: R || S, each 32 octets; DER is not an ES256 signature.
        if len(signature) != 2 * _COORDINATE:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:_COORDINATE], "big"), int.from_bytes(signature[_COORDINATE:], "big")
        key.verify(encode_dss_signature(r, s), signed, scheme)

    return check


def _rs256(jwk: Mapping[str, Any]) -> Check:
    modulus = _number(jwk, "n")
    if jwk["kty"] != "RSA" or not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise ValueError("not an RSA key of a size we take")
    key = RSAPublicNumbers(_number(jwk, "e"), modulus).public_key()
    padding, digest = PKCS1v15(), SHA256()
    return lambda signed, signature: key.verify(signature, signed, padding, digest)


def _eddsa(jwk: Mapping[str, Any]) -> Check:
    if (jwk["kty"], jwk["crv"]) != ("OKP", "Ed25519"):
        raise ValueError("not an Ed25519 key")
    key = Ed25519PublicKey.from_public_bytes(_octets(jwk, "x"))
    return lambda signed, signature: key.verify(signature, signed)


_LOADERS: dict[str, Callable[[Mapping[str, Any]], Check]] = {"ES256": _es256, "RS256": _rs256, "EdDSA": _eddsa}


class CryptographyVerifier:
    """`bindings.Crypto` on CPython. Keys are loaded once and kept ready."""

    __slots__ = ("_loaded",)

    def __init__(self) -> None:
        self._loaded: dict[tuple[Any, ...], Check | None] = {}

    async def verify(self, algorithm: str, jwk: Mapping[str, Any], signed: bytes, signature: bytes) -> bool:
        """Whether `signature` over `signed` is good under `jwk` with `algorithm`; False too for a key that cannot be used."""
        members = (algorithm, *(jwk.get(name) for name in ("kty", "crv", "x", "y", "n", "e")))
        try:
            check = self._loaded[members]
        except KeyError:
            check = self._load(algorithm, jwk, members)
        except TypeError:  # a member that is no text
            return False
        if check is None:
            return False
        try:
            check(signed, signature)
        except InvalidSignature:
            return False
        return True

    def _load(self, algorithm: str, jwk: Mapping[str, Any], members: tuple[Any, ...]) -> Check | None:
        loader = _LOADERS.get(algorithm)
        try:
            check = None if loader is None else loader(jwk)
        except (AttributeError, KeyError, ValueError, UnsupportedAlgorithm):
            check = None
        if len(self._loaded) >= MAX_LOADED:
            del self._loaded[next(iter(self._loaded))]
        self._loaded[members] = check
        return check
