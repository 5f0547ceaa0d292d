"""What a token must say to name a user of the project.

The claims of Supabase: supabase.com/docs/guides/auth/jwt-fields. Its legacy `anon` and `service_role` keys are JWTs with a
good signature and no `sub` and `aud`; the first is printed in every web page, so neither is ever a user.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, NamedTuple

__all__ = ["MAX_LEEWAY", "Claims", "check_claims", "numeric_date"]

MAX_LEEWAY = 30.0
"""Seconds by which the clocks of the issuer and of this machine may differ."""
_NOT_USERS = frozenset({"anon", "service_role"})
_MAX_NAME = 128


class Claims(NamedTuple):
    """The claims that count, checked. Times are seconds since 1970."""

    sub: str
    role: str
    aal: str | None
    session_id: str | None
    is_anonymous: bool
    exp: float
    iat: float | None


def numeric_date(value: Any) -> float | None:
    """A NumericDate (RFC 7519 section 2: a JSON number) in seconds since 1970, or None. `true` is none, although Python
    takes it for 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _name(value: Any) -> str | None:
    # These become header values, parts of store keys and of "kind:name" subjects: visible ASCII without a colon.
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME:
        return None
    return value if value.isascii() and value.isprintable() and " " not in value and ":" not in value else None


def check_claims(claims: dict[str, Any], now: float, issuer: str, audience: str, leeway: float = MAX_LEEWAY) -> Claims | str:
    """The claims of a user, or the name of the claim that is missing or wrong (for tests and logs, not for the caller).

    `exp`, `iss`, `aud`, `sub` and `role` are required; `nbf`, `iat`, `aal`, `session_id` and `is_anonymous` must be right
    where they are there. RFC 7519 section 4.1.4: "on or after" `exp` the token is refused; `leeway` is at most 30 s.
    """
    leeway = min(leeway, MAX_LEEWAY)
    exp, iat, nbf = numeric_date(claims.get("exp")), numeric_date(claims.get("iat")), numeric_date(claims.get("nbf"))
    if exp is None or now >= exp + leeway:
        return "exp"
    if "nbf" in claims and (nbf is None or now < nbf - leeway):
        return "nbf"
    if "iat" in claims and (iat is None or now < iat - leeway):
        return "iat"
    if claims.get("iss") != issuer:
        return "iss"
    aud = claims.get("aud")
    if aud != audience and not (isinstance(aud, list) and audience in aud):
        return "aud"
    sub, role = _name(claims.get("sub")), _name(claims.get("role"))
    if sub is None:
        return "sub"
    if role is None or role in _NOT_USERS:
        return "role"
    aal, session_id = claims.get("aal"), claims.get("session_id")
    if aal is not None and _name(aal) is None:
        return "aal"
    if session_id is not None and _name(session_id) is None:
        return "session_id"
    is_anonymous = claims.get("is_anonymous", False)
    if not isinstance(is_anonymous, bool):
        return "is_anonymous"
    return Claims(sub, role, aal, session_id, is_anonymous, exp, iat)
