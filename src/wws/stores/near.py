"""A small memory in front of a store that is somewhere else: what was read of sessions and API keys a moment ago.

The store tells of every change of such names, by anybody, as it happens (client-side caching of redis.io); what it has told of
is read anew. So a revocation counts at once, and a name that is absent (the tombstone of a session, say) need not be asked for
with every request. An entry is used for `age` seconds at most. When a connection is lost no entry counts as fresh any more, for
changes may go unheard; entries are then read anew, and served as they are, up to `grace` seconds after they were read, only
when the store cannot say.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, NamedTuple

from wws.bindings import MIN_TTL, KeyPage
from wws.core.auth.apikey import KEY_PREFIX
from wws.core.auth.session import SESSION_PREFIX
from wws.core.limit.decision import Decision
from wws.errors import StoreError
from wws.stores.guard import Guard

__all__ = ["PREFIXES", "TRACKED", "Near"]

TOMBSTONES: Final = "v1:gone"
ANSWERS: Final = "v1:changed:"
"""Before what gateways tell each other of cached answers that have changed: the name is the message."""
PREFIXES: Final = (KEY_PREFIX, SESSION_PREFIX, TOMBSTONES)
"""Beginnings of the names that are remembered."""
TRACKED: Final = (*PREFIXES, ANSWERS)
"""Beginnings of the names whose changes are heard of."""
MAX_ENTRIES: Final = 20_000
"""Some 10 MB: a session's record is about 300 bytes."""
MAX_VALUE: Final = 4096


class _Entry(NamedTuple):
    """`hearing` is the number of the time in which every change was heard of; `at` is monotonic."""

    value: bytes | None
    hearing: int
    at: float


class Near:
    """See the module: KV and Counter. `tracks` tells whether changes are heard of."""

    consistency = "exact across all gateways of one server or cluster"

    def __init__(
        self,
        guard: Guard,
        monotonic: Callable[[], float],
        tracks: Callable[[], bool],
        age: float = 60.0,
        grace: float = 300.0,
        prefixes: tuple[str, ...] = PREFIXES,
    ) -> None:
        self.guard = guard
        self.hits = self.misses = self.graced = 0
        self._monotonic = monotonic
        self._tracks = tracks
        self._age = age
        self._grace = grace
        self._prefixes = prefixes
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._reading: dict[str, int] = {}  # how many read a name just now
        self._doubted: set[str] = set()  # names that changed while they were read
        self._hearing = 0
        self._epoch = 0
        self.told: Callable[[str], object] | None = None
        """Called with each message of `tell`, by whichever gateway."""

    def __len__(self) -> int:
        return len(self._entries)

    def epoch(self) -> int:
        """Another number once something that was read may have changed (see `KV`)."""
        if not self._tracks():
            self._epoch += 1
        return self._epoch

    def changed(self, names: list[str] | None) -> None:
        """Told by the store: these names were changed, or, None, any may have been."""
        if names is None:
            self._hearing += 1
            self._epoch += 1
            return
        for name in names:
            if name.startswith(ANSWERS):
                if self.told is not None:
                    self.told(name[len(ANSWERS) :])
                continue
            if self._entries.pop(name, None) is not None or not name.startswith(SESSION_PREFIX):
                self._epoch += 1
            if name in self._reading:
                self._doubted.add(name)

    async def get(self, key: str) -> bytes | None:
        """See `KV`."""
        entry = self._entries.get(key)
        now = self._monotonic()
        if entry is not None and entry.hearing == self._hearing and now - entry.at < self._age:
            self.hits += 1
            return entry.value
        if not key.startswith(self._prefixes):
            return await self.guard.get(key)
        self.misses += 1
        hearing = self._hearing
        self._reading[key] = self._reading.get(key, 0) + 1
        try:
            value = await self.guard.get(key)
        except StoreError:
            if entry is None or now - entry.at >= self._grace:
                raise
            self.graced += 1
            return entry.value
        finally:
            doubted = self._read(key)
        if not doubted:
            self._keep(key, _Entry(value, hearing if self._tracks() else -1, now))
        return value

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        """See `KV`."""
        try:
            await self.guard.put(key, value, expiration_ttl, durable=durable)
        finally:
            self._forget(key)

    async def tell(self, message: str) -> None:
        """Has every gateway of this store hear `message`, this one too, unless the store fails."""
        with suppress(StoreError):
            await self.guard.put(ANSWERS + message, b"", MIN_TTL)

    async def delete(self, key: str) -> None:
        """See `KV`."""
        try:
            await self.guard.delete(key)
        finally:
            self._forget(key)

    def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> Coroutine[Any, Any, KeyPage]:
        """See `KV`."""
        return self.guard.list(prefix, cursor, limit)

    def take(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> Coroutine[Any, Any, Decision]:
        """See `Counter`."""
        return self.guard.take(key, limit, period, cost, now, burst=burst)

    def give(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> Coroutine[Any, Any, None]:
        """See `Counter`."""
        return self.guard.give(key, limit, period, cost, now, burst=burst)

    def command(self, *arguments: bytes | str | int | float, key: bytes | str | None = None) -> Coroutine[Any, Any, Any]:
        """See `RedisStore.command`."""
        return self.guard.command(*arguments, key=key)

    def sweep(self, max_entries: int = 1000) -> Coroutine[Any, Any, int]:
        """Nothing: a server forgets by itself what has expired."""
        return self.guard.sweep(max_entries)

    def close(self) -> None:
        """Forgets everything and ends the connections."""
        self._entries.clear()
        self.guard.close()

    def _read(self, key: str) -> bool:
        """One who read the name has ended: whether it changed meanwhile."""
        doubted = key in self._doubted
        left = self._reading[key] - 1
        if left:
            self._reading[key] = left
        else:
            del self._reading[key]
            self._doubted.discard(key)
        return doubted

    def _keep(self, key: str, entry: _Entry) -> None:
        value = entry.value
        if len(value) > MAX_VALUE if value is not None else not key.startswith(TOMBSTONES):
            return  # of what is absent only tombstones are asked for again and again
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
            self._epoch += 1  # a change of it would not be noticed here any more

    def _forget(self, key: str) -> None:
        """What was written is read anew."""
        if key.startswith(self._prefixes):
            self.changed([key])
