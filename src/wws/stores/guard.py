"""A guard around a store that is somewhere else: what it does when the store is gone, frozen or slow.

Every call of such a store has a time budget, which the store itself keeps. Here is the breaker: after some failures in a row
nobody asks any more, and every call fails at once, until a probe behind the requests finds that the store answers again. What
a feature does then is its own: sessions are served from memory (near.py), limits are counted in the process, answers are not
looked for in the store. A change is logged once and can be seen in `degraded`.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar

from wws.bindings import KV, Counter, KeyPage
from wws.core.limit.decision import Decision
from wws.errors import StoreError

__all__ = ["BOUNDS", "FEATURES", "Guard", "Remote"]

T = TypeVar("T")

FAILURES: Final = 3
"""Failures in a row after which the store is left alone."""
PROBE: Final = 1.0
"""Seconds between probes of a store that answers: so a dead one is noticed without any request."""
PROBE_AGAIN: Final = 0.5
"""The same for one that does not."""
FEATURES: Final = ("auth", "cache", "limit")
"""What works differently without the store, as `/readyz` names it."""
BOUNDS: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Seconds: the buckets of the histogram."""

_log = logging.getLogger("wws.store")


class Remote(KV, Counter, Protocol):
    """A store that is somewhere else."""

    async def ping(self) -> None:
        """Whether it takes a write, in time. Raises `StoreError`."""
        ...

    async def command(self, *arguments: bytes | str | int | float, key: bytes | str | None = None) -> Any:
        """A command in the store's own words."""
        ...

    def close(self) -> None:
        """Ends the connections."""
        ...


class Latency:
    """How long the store took, by `bounds`."""

    __slots__ = ("counts", "sum")
    bounds = BOUNDS

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """One turn of the event loop whose commands were answered."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds


class Guard:
    """See the module. `name` is what the log calls the store; `degraded` is empty while it answers."""

    def __init__(self, store: Remote, name: str, latency: Latency, monotonic: Callable[[], float]) -> None:
        self.degraded: tuple[str, ...] = ()
        self.errors: dict[str, int] = {}
        """Failed calls by operation, those that were not even made included."""
        self.latency = latency
        self.name = name
        self.opened = 0
        """How often the store was left alone."""
        self._store = store
        self._monotonic = monotonic
        self._failed = 0
        self._since = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Asks the store once, so that the first request finds it connected, and begins to probe. Raises nothing."""
        for _ in range(FAILURES):
            if await self._probe():
                break
            await asyncio.sleep(0.1)
        self._watch()

    # KV and Counter

    async def get(self, key: str) -> bytes | None:
        """See `KV`."""
        if self.degraded:
            raise self._left_alone("get")
        try:
            value = await self._store.get(key)
        except StoreError as error:
            self._count("get", error)
            raise
        self._failed = 0
        return value

    async def take(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> Decision:
        """See `Counter`."""
        if self.degraded:
            raise self._left_alone("take")
        try:
            decision = await self._store.take(key, limit, period, cost, now, burst=burst)
        except StoreError as error:
            self._count("take", error)
            raise
        self._failed = 0
        return decision

    async def give(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> None:
        """See `Counter`."""
        await self._call("give", lambda: self._store.give(key, limit, period, cost, now, burst=burst))

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        """See `KV`."""
        await self._call("put", lambda: self._store.put(key, value, expiration_ttl, durable=durable))

    async def delete(self, key: str) -> None:
        """See `KV`."""
        await self._call("delete", lambda: self._store.delete(key))

    async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> KeyPage:
        """See `KV`."""
        return await self._call("list", lambda: self._store.list(prefix, cursor, limit))

    async def command(self, *arguments: bytes | str | int | float, key: bytes | str | None = None) -> Any:
        """See `RedisStore.command`. What the store refuses is no failure of it here: the probe tells whether it works."""
        if self.degraded:
            raise self._left_alone("command")
        return await self._store.command(*arguments, key=key)

    async def sweep(self, max_entries: int = 1000) -> int:
        """Nothing: a server forgets by itself what has expired."""
        return 0

    def close(self) -> None:
        """Ends the probes and the connections."""
        if self._task is not None and not self._task.get_loop().is_closed():
            self._task.cancel()
        self._task = None
        self._store.close()

    # the breaker

    async def _call(self, operation: str, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self.degraded:
            raise self._left_alone(operation)
        try:
            result = await call()
        except StoreError as error:
            self._count(operation, error)
            raise
        self._failed = 0
        return result

    def _left_alone(self, operation: str) -> StoreError:
        self.errors[operation] = self.errors.get(operation, 0) + 1
        return StoreError(f"{self.name} does not answer; it is tried again every {PROBE_AGAIN:g} s")

    def _count(self, operation: str, error: StoreError) -> None:
        self.errors[operation] = self.errors.get(operation, 0) + 1
        self._failed += 1
        if self._failed >= FAILURES and not self.degraded:
            self._open(error)

    def _open(self, error: StoreError) -> None:
        self.degraded = FEATURES
        self.opened += 1
        self._since = self._monotonic()
        _log.error(
            "the store fails: %s. Known sessions and keys are served from memory, limits are counted in this process", error
        )
        self._watch()

    def _watch(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._probes())

    async def _probes(self) -> None:
        while True:
            await asyncio.sleep(PROBE_AGAIN if self.degraded else PROBE)
            await self._probe()

    async def _probe(self) -> bool:
        try:
            await self._store.ping()
        except StoreError as error:
            self._count("probe", error)
            return False
        self._failed = 0
        if self.degraded:
            self.degraded = ()
            _log.warning("the store %s answers again, after %.1f s", self.name, self._monotonic() - self._since)
        return True
