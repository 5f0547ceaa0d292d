"""Public-key signatures by WebCrypto (W3C Web Cryptography API)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from wws.core.auth import base64url
from wws.core.auth.jwks import MIN_RSA_BITS
from wws.hosts.edge.web import Web

__all__ = ["MAX_RSA_BITS", "WebCryptoVerifier"]

MAX_RSA_BITS: Final = 8192
MAX_LOADED: Final = 64
"""Keys kept ready for use: twice the keys of a set."""

# By JOSE name: the members that make the key (RFC 7518 section 6, RFC 8037), how it is imported, how a signature is checked.
_ES256: Final = ({"name": "ECDSA", "namedCurve": "P-256"}, {"name": "ECDSA", "hash": "SHA-256"})
_RS256: Final = ({"name": "RSASSA-PKCS1-v1_5", "hash": "SHA-256"}, {"name": "RSASSA-PKCS1-v1_5"})
_ED25519: Final = ({"name": "Ed25519"}, {"name": "Ed25519"})
_ALGORITHMS: Final = {
    "ES256": (("kty", "crv", "x", "y"), {"kty": "EC", "crv": "P-256"}, *_ES256, 64),
    "RS256": (("kty", "n", "e"), {"kty": "RSA"}, *_RS256, None),
    "EdDSA": (("kty", "crv", "x"), {"kty": "OKP", "crv": "Ed25519"}, *_ED25519, 64),
}


class WebCryptoVerifier:
    """`bindings.Crypto` on `crypto.subtle`. Keys are imported once and kept ready."""

    __slots__ = ("_loaded", "_web")

    def __init__(self, web: Web) -> None:
        self._web = web
        self._loaded: dict[str, Any] = {}

    async def verify(self, algorithm: str, jwk: Mapping[str, Any], signed: bytes, signature: bytes) -> bool:
        """Whether `signature` over `signed` is good under `jwk` with `algorithm`; False too for a key that cannot be used."""
        known = _ALGORITHMS.get(algorithm)
        if known is None:
            return False
        names, fixed, imported, checked, size = known
        if (size is not None and len(signature) != size) or not _usable(algorithm, jwk, names, fixed):
            return False
        web, subtle = self._web, self._web.js.crypto.subtle
        text = json.dumps({name: jwk[name] for name in names})
        try:
            key = self._loaded.get(text)
            if key is None:
                key = await subtle.importKey("jwk", web.js.JSON.parse(text), web.plain(imported), False, web.plain(["verify"]))
                if len(self._loaded) >= MAX_LOADED:
                    del self._loaded[next(iter(self._loaded))]
                self._loaded[text] = key
            return bool(await subtle.verify(web.plain(checked), key, web.octets(signature), web.octets(signed)))
        except web.ffi.JsException:
            return False


def _usable(algorithm: str, jwk: Mapping[str, Any], names: tuple[str, ...], fixed: Mapping[str, str]) -> bool:
    if any(not isinstance(jwk.get(name), str) for name in names) or any(jwk[name] != value for name, value in fixed.items()):
        return False
    if algorithm != "RS256":
        return True
    try:
        modulus = int.from_bytes(base64url.decode(jwk["n"].encode("ascii")), "big")
    except ValueError:
        return False
    return MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS
