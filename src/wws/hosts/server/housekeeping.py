"""What is done every few seconds beside the requests: the ledger is written, and the store forgets what has expired."""

from __future__ import annotations

import asyncio
import gc
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from wws.errors import StoreError
from wws.observe.ledger import Ledger
from wws.observe.tally import Tally

__all__ = ["Housekeeping"]

INTERVAL = 5.0
"""Seconds between rounds: what a machine that loses power forgets of the ledger."""
FULL = 60.0
"""Seconds between two collections of all objects, at least."""
SWEPT = 1000
"""Records of the store looked at in one round."""
MAX_ROWS = 20_000
"""Rows of the ledger that wait while it cannot be written, some 10 MB; the oldest are lost first."""

_log = logging.getLogger("wws.server")


class Collector:
    """Collects what only Python's collector finds. Left to itself it would hardly ever look at the older objects: its thresholds
    are high (see `serving`), and what a long request held when it looked is garbage that it meets again after hours.

    Young objects in each round; all of them `FULL` seconds after the last time, or a thousand times as long as that took, so
    that it costs at most a thousandth of the time.
    """

    def __init__(self, monotonic: Callable[[], float], collect: Callable[[int], int] = gc.collect) -> None:
        self._monotonic = monotonic
        self._collect = collect
        self._due = monotonic() + FULL

    def round(self) -> None:
        """One round."""
        now = self._monotonic()
        if now < self._due:
            self._collect(1)
            return
        self._collect(2)
        ended = self._monotonic()
        self._due = ended + max(FULL, 1000 * (ended - now))


class Sweeps(Protocol):
    """What is used of a store."""

    async def sweep(self, max_entries: int = 1000) -> int:
        """Removes what has expired among the next `max_entries` records. Raises `StoreError`."""
        ...


class Housekeeping:
    """Rounds of it. A failure is told once, and once more when it is over; what failed is tried again in the next round."""

    def __init__(
        self,
        tally: Tally,
        ledger: Ledger,
        store: Sweeps,
        loop: asyncio.AbstractEventLoop,
        also: Callable[[], None] | None = None,
        key_use: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._tally = tally
        self._ledger = ledger
        self._store = store
        self._loop = loop
        self._also = also
        self._key_use = key_use
        self._collector = Collector(loop.time)
        self._waiting: list[tuple[Any, ...]] = []
        self._failing: set[str] = set()

    async def keep(self) -> None:
        """Rounds without end."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.round()

    async def round(self) -> None:
        """One round. Raises nothing."""
        self._collector.round()
        if self._also is not None:
            self._also()
        rows = self._rows()
        error: Exception | None = None
        if rows:
            try:
                await self._loop.run_in_executor(None, self._ledger.write, rows)
            except sqlite3.Error as raised:
                error = raised
                self._waiting = rows[-MAX_ROWS:]
            self._told("writing the ledger", error)
        error = None
        try:
            await self._store.sweep(SWEPT)
        except StoreError as raised:
            error = raised
        self._told("sweeping the store", error)
        if self._key_use is not None:
            error = None
            try:
                await self._key_use()
            except StoreError as raised:
                error = raised
            self._told("writing when keys were used", error)

    async def last(self) -> None:
        """Writes what is left at the end."""
        try:
            await self._loop.run_in_executor(None, self._ledger.write, self._rows())
        except sqlite3.Error as error:
            _log.error("the last rows of the ledger are lost: %s", error)

    def _rows(self) -> list[tuple[Any, ...]]:
        self._tally.drain()
        rows, self._waiting = [*self._waiting, *self._ledger.take()], []
        return rows

    def _told(self, what: str, error: Exception | None) -> None:
        if error is None:
            if what in self._failing:
                self._failing.discard(what)
                _log.info("%s works again", what)
        elif what not in self._failing:
            self._failing.add(what)
            _log.error("%s fails: %s", what, error)
