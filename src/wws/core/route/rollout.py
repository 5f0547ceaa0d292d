"""A gradual roll-out: which callers get the new version, so that each stays with one and nobody goes back as the share grows.

A caller is a place on a circle of 10,000, found by a hash of who it is and of the version: with 10 percent those on the first
1,000 places have the new version, with 50 percent the same ones and 4,000 more.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from wws import codec
from wws.core.auth.base64url import decode

__all__ = ["PLACES", "chosen", "place", "subject"]

PLACES: Final = 10_000
_LONGEST: Final = 8 * 1024  # bytes of a credential that are looked at


def subject(first: dict[bytes, bytes], client: str) -> bytes:
    """Who asks, as far as the request's header fields tell without asking anybody; else the client's address.

    Nothing is decided on it but the version: the `sub` of a session's token is taken unverified, because the token itself is
    another one every hour.
    """
    given = first.get(b"authorization") or first.get(b"x-api-key")
    if given is None or len(given) > _LONGEST:
        return client.encode("utf-8", "replace")
    parts = given.split(b".")
    if len(parts) == 3:
        try:
            claims = codec.decode(decode(parts[1]))
        except ValueError:
            return given
        if isinstance(claims, dict) and isinstance(claims.get("sub"), str):
            return bytes(claims["sub"].encode("utf-8", "replace"))
    return given


def place(who: bytes, version: str) -> int:
    """The place of a caller on the circle of `version`, from 0 to PLACES - 1."""
    return int.from_bytes(blake2b(who, key=version.encode()[:64], digest_size=8).digest(), "big") % PLACES


def chosen(who: bytes, version: str, percent: float) -> bool:
    """Whether a caller gets `version` when `percent` of all do."""
    return place(who, version) < percent * (PLACES / 100)
