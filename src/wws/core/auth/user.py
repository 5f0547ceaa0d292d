"""The verified subject of a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as far as a verified credential says.

    `id` is the token's `sub` or `key:ID` for an API key. `source` tells how it was verified this time: `cache`, `jwks`,
    `origin` (asked Supabase) or `key`. `scopes` None means no restriction (a session); a key has those given at creation.
    """

    id: str
    role: str = "authenticated"
    aal: str | None = None
    session_id: str | None = None
    is_anonymous: bool = False
    source: str = "cache"
    key_id: str | None = None
    scopes: tuple[str, ...] | None = None
    expires_at: float | None = None
