"""A signed JSON Web Token taken apart (RFC 7515, RFC 7519), as strictly as RFC 8725 asks. Nothing is verified here."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from wws.core.auth import base64url
from wws.core.auth.bearer import MAX_CREDENTIAL

__all__ = ["Token", "parse_token"]

_MAX_KID = 256


class Token(NamedTuple):
    """`signed` is what the signature is over: the first two parts and the dot between them."""

    alg: str
    kid: str | None
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    def __repr__(self) -> str:
        return f"Token(alg={self.alg!r})"  # the parts make a credential


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name is there twice")
    return members


def _reject(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_json = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_reject)


def _object(part: bytes) -> dict[str, Any]:
    try:
        value = _json.decode(base64url.decode(part).decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def parse_token(token: bytes) -> Token | None:
    """The parts of a token in compact serialisation, or None when it is not acceptable.

    Refused: what is over 8 KiB, base64url that is not canonical, a member name that is there twice (RFC 7515 section 4), an
    empty signature, `typ` other than `JWT` (RFC 8725 section 3.11: explicit typing), any `crit` (RFC 7515 section 4.1.11:
    we understand no extension). `jku`, `jwk`, `x5u` and `x5c` are not looked at (RFC 8725 section 3.10).
    """
    parts = token.split(b".")
    if len(parts) != 3 or len(token) > MAX_CREDENTIAL:
        return None
    try:
        header = _object(parts[0])
        claims = _object(parts[1])
        signature = base64url.decode(parts[2])
    except ValueError:
        return None
    alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(alg, str) or not isinstance(typ, str) or typ.upper() != "JWT" or "crit" in header or not signature:
        return None
    if kid is not None and (not isinstance(kid, str) or len(kid) > _MAX_KID):
        return None
    return Token(alg, kid, claims, parts[0] + b"." + parts[1], signature)
