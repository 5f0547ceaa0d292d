"""A session's verdict as it is cached: its record, how long it lives, and what a request may do with it now.

Supabase's access tokens stay valid until `exp` whatever happens to the user (supabase.com/docs/guides/auth/sessions), so a
verdict that serves for long is checked again while it does: that is what makes a logout or a ban take effect.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from wws import codec
from wws.core.auth.claims import Claims
from wws.core.auth.user import User

__all__ = [
    "GONE_PREFIX",
    "GONE_SUBJECT_PREFIX",
    "MAX_TOKEN_LIFETIME",
    "MIN_STORED",
    "NEGATIVE_TTL",
    "SESSION_PREFIX",
    "TOMBSTONE",
    "Denied",
    "Session",
    "backoff",
    "decide",
    "decode",
    "encode",
    "gone_key",
    "gone_subject_key",
    "gone_ttl",
    "issued_before",
    "new_session",
    "online_age_allows",
    "recheck",
    "session_key",
    "stored_ttl",
    "user_of",
]

SESSION_PREFIX: Final = "v1:sess:"
GONE_PREFIX: Final = "v1:gone:"
GONE_SUBJECT_PREFIX: Final = "v1:gonesub:"
NEGATIVE_TTL: Final = 60.0
"""Seconds a definite refusal is remembered."""
MIN_STORED: Final = 60.0
"""Seconds: the shortest expiration Cloudflare KV takes. What must end sooner carries its own end in the record."""
MAX_TOKEN_LIFETIME: Final = 604_800.0
"""Seconds: the longest life Supabase gives an access token (a week). A purge of a subject holds for as long."""
MAX_SKEW: Final = 60.0
"""Seconds a `checked_at` of another machine may lie in the future before it is doubted."""


class Session(NamedTuple):
    """A token that was good. No token, no address. Times are wall seconds.

    `checked_at` is when it was last checked, or first seen and verified locally; `online_at` when the auth server last said
    yes (0.0: never asked); `until` when the verdict ends: `min(session_ttl, exp - now)` from its last write.
    """

    sub: str
    role: str
    aal: str | None
    session_id: str | None
    is_anonymous: bool
    exp: float
    checked_at: float
    online_at: float
    until: float


class Denied(NamedTuple):
    """A token that was refused for sure, with the `code` to answer, until `until` (wall seconds)."""

    code: str
    until: float


TOMBSTONE: Final = b"1"
_OK: Final = "ok"
_DENIALS: Final = ("invalid_api_key", "user_banned")


def session_key(digest: str) -> str:
    """The store's key for the token with this keyed digest."""
    return SESSION_PREFIX + digest


def gone_key(session_id: str) -> str:
    """The store's key of a session's tombstone."""
    return GONE_PREFIX + session_id


def gone_subject_key(sub: str) -> str:
    """The store's key of a subject's tombstone, which refuses the tokens issued before it."""
    return GONE_SUBJECT_PREFIX + sub


def encode(record: Session | Denied) -> bytes:
    """The record for the store: a JSON array that begins with its verdict."""
    return codec.encode([_OK, *record] if isinstance(record, Session) else list(record))


def decode(data: bytes) -> Session | Denied | None:
    """The record that `encode` made; None for anything else, which is then as good as no record."""
    try:
        members = codec.decode(data)
        if not isinstance(members, list):
            return None
        if members[:1] == [_OK]:
            return Session(*members[1:])
        denied = Denied(*members)
        # In compiled code the first use of a field of the wrong type raises, where plain Python would go on.
        return denied if denied.code in _DENIALS else None
    except (TypeError, ValueError):
        return None


def user_of(session: Session, source: str) -> User:
    """The user of a session, verified by `source` this time."""
    return User(
        id=session.sub,
        role=session.role,
        aal=session.aal,
        session_id=session.session_id,
        is_anonymous=session.is_anonymous,
        source=source,
        expires_at=session.exp,
    )


def new_session(claims: Claims, now: float, session_ttl: float, online: bool) -> Session:
    """The record of a token verified just now; `online` when the auth server said so itself."""
    until = min(now + session_ttl, claims.exp)
    return Session(*claims[:6], now, now if online else 0.0, until)


def recheck(session: Session, now: float, session_ttl: float) -> Session:
    """The record after the auth server has confirmed it."""
    return session._replace(checked_at=now, online_at=now, until=min(now + session_ttl, session.exp))


def stored_ttl(until: float, now: float) -> float | None:
    """Seconds for the store to keep a record that ends at `until`; None when it has ended and is not worth a write."""
    return max(until - now, MIN_STORED) if until > now else None


def gone_ttl(exp: float, now: float, leeway: float) -> float:
    """Seconds a session's tombstone is kept: as long as a token of it could still be accepted."""
    return max(exp + leeway - now, MIN_STORED)


def decide(
    session: Session, now: float, recheck_after: float, fresh_auth: float | None
) -> Literal["fresh", "recheck", "wait", "must", "expired"]:
    """What a request may do with a cached session now.

    fresh    serve it
    recheck  serve it, and check it behind the request
    wait     check it first; serve it when the auth server does not answer. A token that was silent for long would otherwise
             be served once more from an old verdict, since only requests cause checks
    must     check it first, and serve it only when the auth server says yes: the route's `fresh_auth` is exceeded
    expired  it is no verdict any more

    `fresh_auth` counts from the last check *online*; None sets no ceiling but the session's own end.
    """
    if now >= session.until:
        return "expired"
    if fresh_auth is not None and not online_age_allows(session, now, fresh_auth):
        return "must"
    age = now - session.checked_at
    if age <= recheck_after:
        return "fresh" if age >= -MAX_SKEW else "wait"
    return "recheck" if age <= 2.0 * recheck_after else "wait"


def online_age_allows(session: Session, now: float, fresh_auth: float) -> bool:
    """Whether the last online check is at most `fresh_auth` seconds old; with 0 every request is checked."""
    return fresh_auth > 0.0 and -MAX_SKEW <= now - session.online_at <= fresh_auth


def issued_before(iat: float | None, gone_at: bytes) -> bool:
    """Whether a token issued at `iat` falls under a subject's tombstone of the time `gone_at`; in doubt it does."""
    try:
        return iat is None or iat <= float(gone_at)
    except ValueError:
        return True


def backoff(failures: int, longest: float) -> float:
    """Seconds until the next try of a background check after `failures` in a row: 5, 10, 20 ... `longest`."""
    return float(min(5.0 * 2.0 ** min(failures - 1, 16), max(longest, 5.0)))
