"""The auth server's signing keys, kept in this process and fetched as seldom as `core.auth.jwks` says."""

from __future__ import annotations

from typing import NamedTuple

from wws.bindings import Services
from wws.core.auth.jwks import COOL_DOWN, Key, Loads, plan_load, select_key
from wws.core.auth.supabase import RETRY_AFTER
from wws.functions.auth_server import AuthServer
from wws.functions.flight import Flights

__all__ = ["RELOAD_KEY", "NoKey", "SigningKeys"]

RELOAD_KEY = "v1:jwks:reload"
"""Where a purge leaves a mark that no set fetched before it may be used again."""
_FLIGHT = "jwks"


class NoKey(NamedTuple):
    """No key for a token: it is refused (`retry_after` None), or there is no telling for so many seconds."""

    retry_after: float | None = None


class SigningKeys:
    """The set in hand and what is known of its loads."""

    __slots__ = ("_failed", "_flights", "_keys", "_loaded_at", "_mark", "_running", "_server", "_tried_at", "_wws")

    def __init__(self, wws: Services, server: AuthServer) -> None:
        self._wws = wws
        self._server = server
        self._flights: Flights[None] = Flights(wws)
        self._keys: tuple[Key, ...] = ()
        self._mark: bytes | None = None
        self._loaded_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False
        self._running = 0

    async def find(self, alg: str, kid: str | None) -> Key | NoKey:
        """The key for a token's `alg` and `kid`. Raises `StoreError`."""
        mark = await self._wws.kv.get(RELOAD_KEY)
        if mark != self._mark:
            self._mark, self._loaded_at, self._keys = mark, None, ()
        if self._plan() == "load":
            await self._load()
        if self._plan() != "use":
            return self._unavailable()
        key = select_key(self._keys, alg, kid)
        if key == "unknown":
            if self._plan(unknown_kid=True) == "load" or _FLIGHT in self._flights:
                await self._load()
                key = select_key(self._keys, alg, kid)
            if key == "unknown" and self._plan(unknown_kid=True) == "unavailable":
                return self._unavailable()
        return NoKey() if isinstance(key, str) else key

    def _plan(self, unknown_kid: bool = False) -> str:
        loads = Loads(self._loaded_at, self._tried_at, self._failed, self._running > 0)
        return plan_load(loads, self._wws.clock.monotonic(), unknown_kid)

    def _unavailable(self) -> NoKey:
        if self._tried_at is None or not self._failed:
            return NoKey(RETRY_AFTER)
        return NoKey(max(1.0, self._tried_at + COOL_DOWN - self._wws.clock.monotonic()))

    async def _load(self) -> None:
        await self._flights.share(_FLIGHT, self._fetch)

    async def _fetch(self) -> None:
        clock, mark = self._wws.clock, self._mark
        self._tried_at, self._failed = clock.monotonic(), False
        self._running += 1
        try:
            keys = await self._server.keys()
        finally:
            self._running -= 1
        if keys is None:
            self._tried_at, self._failed = clock.monotonic(), True
        elif mark == self._mark:  # else it may have been fetched before the purge
            self._keys, self._loaded_at = keys, clock.monotonic()
