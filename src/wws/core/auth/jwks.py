"""The issuer's signing keys: which of them may verify a token, and when to fetch the set again.

The algorithm comes from the key and never from the token (RFC 8725 section 3.1), so a token can neither choose `none` nor
have a public key used as an HMAC secret.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from wws import codec
from wws.core.auth import base64url

__all__ = ["COOL_DOWN", "GRACE", "MAX_AGE", "MAX_BYTES", "MAX_KEYS", "Key", "Loads", "parse_keys", "plan_load", "select_key"]

MAX_AGE = 600.0
"""Seconds a set is used: Supabase's own limit (`Cache-Control: max-age=600`, supabase.com/docs/guides/auth/jwts)."""
GRACE = 600.0
"""Seconds past MAX_AGE that the last good set serves on while the endpoint does not answer."""
COOL_DOWN = 30.0
"""Seconds between two loads whatever tokens ask for; panva/jose `createRemoteJWKSet` has the same."""
MAX_BYTES = 64 * 1024
MAX_KEYS = 32
MIN_RSA_BITS = 2048  # RFC 7518 section 3.3: "A key of size 2048 bits or larger MUST be used"


class Key(NamedTuple):
    """A public key that may verify signatures of `alg`; `jwk` holds its public members only."""

    kid: str | None
    alg: str
    jwk: dict[str, str]


class Family(NamedTuple):
    """The keys of one algorithm: RFC 7518 section 6, RFC 8037 section 2."""

    alg: str
    members: tuple[str, ...]


_FAMILIES: dict[tuple[Any, Any], Family] = {
    ("EC", "P-256"): Family("ES256", ("kty", "crv", "x", "y")),
    ("RSA", None): Family("RS256", ("kty", "n", "e")),
    ("OKP", "Ed25519"): Family("EdDSA", ("kty", "crv", "x")),
}
ALGORITHMS = frozenset(family.alg for family in _FAMILIES.values())


def parse_keys(body: bytes) -> tuple[Key, ...] | None:
    """The usable keys of a JWK Set (RFC 7517 section 5), or None when `body` is none or is over 64 KiB or 32 keys.

    Keys that we cannot use are left out, as the section asks: another type, another use, a weak RSA key.
    """
    if len(body) > MAX_BYTES:
        return None
    try:
        document = codec.decode(body)
    except ValueError:
        return None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        return None
    return tuple(key for entry in entries if (key := _usable(entry)) is not None)


def _usable(entry: Any) -> Key | None:
    if not isinstance(entry, dict):
        return None
    kty, crv = entry.get("kty"), entry.get("crv")
    family = _FAMILIES.get((kty, crv)) if isinstance(kty, str) and isinstance(crv, str | None) else None
    if family is None or entry.get("alg", family.alg) != family.alg or entry.get("use", "sig") != "sig":
        return None
    operations, kid = entry.get("key_ops", ["verify"]), entry.get("kid")
    if not isinstance(operations, list) or "verify" not in operations or not isinstance(kid, str | None):
        return None
    jwk = {name: value for name in family.members if isinstance(value := entry.get(name), str) and value}
    if len(jwk) != len(family.members):
        return None
    if kty == "RSA" and _bits(jwk["n"]) < MIN_RSA_BITS:
        return None
    return Key(kid, family.alg, jwk)


def _bits(number: str) -> int:
    try:
        return int.from_bytes(base64url.decode(number.encode("ascii")), "big").bit_length()
    except ValueError:
        return 0


def select_key(keys: tuple[Key, ...], alg: str, kid: str | None) -> Key | Literal["unknown", "refused"]:
    """The one key for a token's `alg` and `kid`.

    `unknown`: no key has this `kid`, a newer set may. `refused`: the key is of another algorithm, or there is no telling
    which one is meant.
    """
    named = [key for key in keys if kid is None or key.kid == kid]
    if not named:
        return "unknown"
    matching = [key for key in named if key.alg == alg]
    return matching[0] if len(matching) == 1 else "refused"


class Loads(NamedTuple):
    """What is known of the loads of a set; times are monotonic seconds, None: never."""

    loaded_at: float | None = None
    """When the set in hand came."""
    tried_at: float | None = None
    """When the last load began (one under way too) or, if it failed, ended."""
    failed: bool = False
    """Whether the last load ended without a set."""
    running: bool = False
    """Whether a load is under way that this request cannot wait for."""


def plan_load(loads: Loads, now: float, unknown_kid: bool = False) -> Literal["use", "load", "unavailable"]:
    """Whether to `use` the set in hand, `load` one first, or say that there is no telling (`unavailable`, 503).

    `unknown_kid` asks for the case that the set in hand lacks the token's key; `use` then means: refuse the token.
    """
    cooling = loads.tried_at is not None and now - loads.tried_at < COOL_DOWN
    if loads.loaded_at is None:
        return "unavailable" if cooling and loads.failed else "load"
    age = now - loads.loaded_at
    if age < MAX_AGE and not unknown_kid:
        return "use"
    if not cooling:
        return "load"
    if unknown_kid:
        return "unavailable" if loads.failed or loads.running else "use"
    return "use" if age < MAX_AGE + GRACE else "unavailable"
