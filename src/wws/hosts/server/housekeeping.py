"""What is done every few seconds beside the requests: the ledger is written, and the store forgets what has expired."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Any, Protocol

from wws.errors import StoreError
from wws.observe.ledger import Ledger
from wws.observe.tally import Tally

__all__ = ["Housekeeping"]

INTERVAL = 5.0
"""Seconds between rounds: what a machine that loses power forgets of the ledger."""
SWEPT = 1000
"""Records of the store looked at in one round."""
MAX_ROWS = 20_000
"""Rows of the ledger that wait while it cannot be written, some 10 MB; the oldest are lost first."""

_log = logging.getLogger("wws.server")


class Sweeps(Protocol):
    """What is used of a store."""

    async def sweep(self, max_entries: int = 1000) -> int:
        """Removes what has expired among the next `max_entries` records. Raises `StoreError`."""
        ...


class Housekeeping:
    """Rounds of it. A failure is told once, and once more when it is over; what failed is tried again in the next round."""

    def __init__(
        self, tally: Tally, ledger: Ledger, store: Sweeps, loop: asyncio.AbstractEventLoop, also: Callable[[], None] | None = None
    ) -> None:
        self._tally = tally
        self._ledger = ledger
        self._store = store
        self._loop = loop
        self._also = also
        self._waiting: list[tuple[Any, ...]] = []
        self._failing: set[str] = set()

    async def keep(self) -> None:
        """Rounds without end."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.round()

    async def round(self) -> None:
        """One round. Raises nothing."""
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
