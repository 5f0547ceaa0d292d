"""When each API key was last used: noted beside the requests, from what they are counted in, and written now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wws.bindings import KV
from wws.core.auth.apikey import used_key
from wws.errors import StoreError
from wws.observe.tally import Cell, Key, Tally

__all__ = ["EVERY", "KeyUse"]

EVERY: Final = 600.0
"""Seconds between two writes for one key, at least: `last_used_at` is that exact."""
_KEPT: Final = 400 * 86_400.0
"""Seconds that the time is kept for."""
_MOST: Final = 10_000
"""Keys that are remembered here; beyond it all are forgotten and may be written again."""


class KeyUse:
    """One process's. Several that write the same do no harm."""

    __slots__ = ("_seen", "_time", "_written")

    def __init__(self, tally: Tally, time: Callable[[], float]) -> None:
        self._time = time
        self._seen: dict[str, float] = {}
        self._written: dict[str, float] = {}
        tally.reader(self._absorb)

    def _absorb(self, cells: dict[Key, Cell]) -> None:
        now = self._time()
        for key in cells:
            if key.key_id is not None:
                self._seen[key.key_id] = now

    async def write(self, kv: KV) -> None:
        """Writes what is due. Raises `StoreError`; what was not written then is tried again the next time."""
        while self._seen:
            key_id, at = self._seen.popitem()
            if at - self._written.get(key_id, 0.0) < EVERY:
                continue
            try:
                await kv.put(used_key(key_id), b"%d" % at, _KEPT)
            except StoreError:
                self._seen.setdefault(key_id, at)
                raise
            if len(self._written) >= _MOST:
                self._written.clear()
            self._written[key_id] = at
