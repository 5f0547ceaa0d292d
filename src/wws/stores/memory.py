"""The store `memory:`: one process, gone when it ends. Every operation is one step of the event loop, so counting is exact.

Bounded: at most `max_keys` entries of each kind (values, counts) and `max_bytes` of values. A new key in a full store takes the
place of one that has expired, else of the least recently used one. A count that was pushed out begins anew.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import nsmallest

from wws.bindings import Clock, Kept, KeyPage, SystemClock
from wws.core.limit.counts import Counts, Round, victims
from wws.core.limit.decision import Decision

__all__ = ["MemoryStore"]

_NEVER = float("inf")


class MemoryStore:
    """KV and Counter in the process's memory."""

    consistency = "exact in one process; not shared"

    def __init__(self, clock: Clock | None = None, max_keys: int = 100_000, max_bytes: int = 256 * 1024 * 1024) -> None:
        if max_keys < 1 or max_bytes < 1:
            raise ValueError("max_keys and max_bytes are at least 1")
        self._time = (clock or SystemClock()).time
        self._max_keys = max_keys
        self._max_bytes = max_bytes
        self._bytes = 0
        self._epoch = 0
        self._values: OrderedDict[str, tuple[bytes, float]] = OrderedDict()  # value, wall time of expiry
        self._round = Round()
        self._counts = Counts(max_keys)

    def __len__(self) -> int:
        return len(self._values) + len(self._counts)

    def epoch(self) -> int:
        """See `KV`."""
        return self._epoch

    async def get(self, key: str) -> bytes | None:
        """See `KV`."""
        entry = self._values.get(key)
        if entry is None:
            return None
        if entry[1] <= self._time():
            self._drop(key)
            return None
        self._values.move_to_end(key)
        return entry[0]

    async def kept(self, key: str) -> Kept | None:
        """See `WholeStore`."""
        value = await self.get(key)
        if value is None:
            return None
        expires = self._values[key][1]
        return Kept(value, None if expires == _NEVER else expires)

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        """See `KV`. Nothing here outlives the process: `durable` changes nothing."""
        data = value.encode() if isinstance(value, str) else value
        now = self._time()
        self._epoch += durable
        if key in self._values:
            self._drop(key)
        self._values[key] = (data, _NEVER if expiration_ttl is None else now + expiration_ttl)
        self._bytes += len(data)
        while len(self._values) > self._max_keys or (self._bytes > self._max_bytes and len(self._values) > 1):
            for victim in victims(self._values, now):
                self._drop(victim)

    async def delete(self, key: str) -> None:
        """See `KV`."""
        self._epoch += 1
        if key in self._values:
            self._drop(key)

    async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> KeyPage:
        """See `KV`. The cursor is the last name of the page before."""
        if not 1 <= limit <= 1000:
            raise ValueError(f"limit is 1 to 1000, not {limit}")
        now = self._time()
        # Text in code point order is in the order of its UTF-8 bytes too (RFC 3629 section 1).
        after = "" if cursor is None else cursor
        names = (
            name
            for name, (_, expires) in self._values.items()
            if name.startswith(prefix) and (name > after or cursor is None) and expires > now
        )
        keys = nsmallest(limit + 1, names)
        return KeyPage(keys[:limit], keys[limit - 1] if len(keys) > limit else None)

    def take_now(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, burst: int | None = None
    ) -> Decision:
        """See `Counter`."""
        return self._counts.take(key, limit, period, cost, self._time() if now is None else now, burst)

    async def take(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> Decision:
        """See `Counter`."""
        return self._counts.take(key, limit, period, cost, self._time() if now is None else now, burst)

    async def give(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> None:
        """See `Counter`."""
        self._counts.give(key, limit, period, cost, self._time() if now is None else now, burst)

    async def sweep(self, max_entries: int = 1000) -> int:
        """Removes the expired ones of the next `max_entries` of each kind, going on where the last call ended: how many."""
        now = self._time()
        expired = self._round.expired(self._values, now, max_entries)
        for key in expired:
            self._drop(key)
        return len(expired) + self._counts.sweep(now, max_entries)

    def close(self) -> None:
        """Forgets everything."""
        self._values.clear()
        self._counts.clear()
        self._bytes = 0

    def _drop(self, key: str) -> None:
        self._bytes -= len(self._values.pop(key)[0])
