"""Exact counts in Deno KV: read, decide, write if nobody wrote in between (docs.deno.com/deploy/kv/transactions).

Those who ask in one process at one time are counted together: one of them decides for all who wait, and writes once. So a crowd
costs as many writes as it takes round trips, and only another process can come in between. When one does, it is tried again, a
bounded number of times, with a wait that grows.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from wws.core.limit import gcra, window
from wws.core.limit.decision import Decision
from wws.errors import StoreError
from wws.hosts.deno.database import STAMP, Database

__all__ = ["ATTEMPTS", "DenoCounter"]

ATTEMPTS: Final = 12
"""Writes that are tried while other processes count the same: with waits up to 0.1 s, about half a second in all."""
_FIRST_WAIT: Final = 0.002
_LONGEST_WAIT: Final = 0.1
_KNOWN: Final = 4096
"""Counts whose last version is remembered."""
_TABLE: Final = "c"
_MARGIN: Final = 60_000.0  # ms that a count outlives its use: the clocks of two machines may differ


_Told = Decision | ValueError | None


class _Call(NamedTuple):
    """One `take` (`give`: a count is given back) and who waits for it."""

    give: bool
    limit: int
    period: float
    cost: int
    now: float | None
    burst: int | None
    answer: asyncio.Future[Decision | None]


class _Line:
    """Those who wait for one count. `known` is its version and state as this process has last seen them."""

    __slots__ = ("busy", "known", "waiting")

    def __init__(self) -> None:
        self.busy = False
        self.known: tuple[str, bytes | None] | None = None
        self.waiting: list[_Call] = []


class DenoCounter:
    """`bindings.Counter` on one database. Raises `StoreError` when it fails, or when too many others count the same."""

    __slots__ = ("_database", "_lines", "_tasks", "_time")
    consistency = "exact everywhere"

    def __init__(self, database: Database, time: Callable[[], float]) -> None:
        self._database = database
        self._time = time
        self._lines: OrderedDict[str, _Line] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio keeps only weak references

    async def take(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> Decision:
        """See `Counter`."""
        answer: asyncio.Future[Decision | None] = asyncio.get_running_loop().create_future()
        decision = await self._ask(key, _Call(False, limit, period, cost, now, burst, answer))
        if decision is None:
            raise StoreError("a count was answered without a decision")
        return decision

    async def give(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> None:
        """See `Counter`."""
        answer: asyncio.Future[Decision | None] = asyncio.get_running_loop().create_future()
        await self._ask(key, _Call(True, limit, period, cost, now, burst, answer))

    async def _ask(self, key: str, call: _Call) -> Decision | None:
        line = self._line(key)
        line.waiting.append(call)
        if not line.busy:
            line.busy = True
            await self._serve(key, line)
        return await call.answer

    def _line(self, key: str) -> _Line:
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line()
            for old in list(self._lines)[: len(self._lines) - _KNOWN]:
                if not self._lines[old].busy:
                    del self._lines[old]
        else:
            self._lines.move_to_end(key)
        return line

    async def _serve(self, key: str, line: _Line) -> None:
        """Answers who waits now. Who came meanwhile, or waits on when this caller is cancelled, is served by a task."""
        calls, line.waiting = line.waiting, []
        try:
            await self._settle(key, line, calls)
        except asyncio.CancelledError:
            line.known = None
            line.waiting = [call for call in calls if not call.answer.done()] + line.waiting
            raise
        except StoreError as error:
            line.known = None
            for call in calls:
                if not call.answer.done():
                    call.answer.set_exception(StoreError(str(error)))
        finally:
            line.waiting = [call for call in line.waiting if not call.answer.cancelled()]
            if line.waiting:
                task = asyncio.ensure_future(self._serve(key, line))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                line.busy = False

    async def _settle(self, key: str, line: _Line, calls: list[_Call]) -> None:
        wait = _FIRST_WAIT
        for _ in range(ATTEMPTS):
            fresh = line.known is None
            stamp, state = line.known or await self._read(key)
            decisions, new, expires = self._decide(calls, state)
            if new is None and not fresh:
                stamp, state = await self._read(key)  # nothing is written that would tell whether what we know still holds
                decisions, new, expires = self._decide(calls, state)
            if new is not None:
                stamp = await self._swap(key, stamp, new, expires)
                state = new
            if stamp or new is None:
                line.known = stamp, state
                for call, decision in zip(calls, decisions, strict=True):
                    _tell(call.answer, decision)
                return
            line.known = None
            await asyncio.sleep(wait * (0.5 + random.random()))
            wait = min(2 * wait, _LONGEST_WAIT)
        raise StoreError(f"a count in Deno KV changed {ATTEMPTS} times while it was written")

    def _decide(self, calls: list[_Call], state: bytes | None) -> tuple[list[_Told], bytes | None, float]:
        """The decisions in order, the state to write (None: as it was), and when it may be forgotten."""
        decisions: list[_Told] = []
        new: bytes | None = None
        expires = time = self._time()
        for call in calls:
            now = time if call.now is None else call.now
            current = state if new is None else new
            try:
                decision, changed = (None, _give(call, current, now)) if call.give else _take(call, current, now)
            except ValueError as error:  # a cost that can never be admitted: the caller's mistake, and nobody else's
                decisions.append(error)
                continue
            decisions.append(decision)
            new = new if changed is None else changed
            expires = max(expires, now + (2 * call.period if decision is None else decision.reset_after))
        return decisions, new, expires

    async def _read(self, key: str) -> tuple[str, bytes | None]:
        data = await self._database.get(_TABLE, key)
        return (data[:STAMP].decode(), data[STAMP:]) if data else ("", None)

    async def _swap(self, key: str, stamp: str, state: bytes, expires: float) -> str:
        ttl = max(0.0, expires - self._time()) * 1000 + _MARGIN
        return await self._database.swap(_TABLE, key, stamp, state, ttl)


def _tell(answer: asyncio.Future[Decision | None], told: _Told) -> None:
    if answer.done():
        return
    if isinstance(told, ValueError):
        answer.set_exception(told)
    else:
        answer.set_result(told)


def _take(call: _Call, state: bytes | None, now: float) -> tuple[Decision, bytes | None]:
    if call.burst is None:
        return window.take(state, now, call.limit, call.period, call.cost)
    return gcra.take(state, now, call.limit, call.period, call.burst, call.cost)


def _give(call: _Call, state: bytes | None, now: float) -> bytes | None:
    if call.burst is None:
        return window.give(state, now, call.limit, call.period, call.cost)
    return gcra.give(state, now, call.limit, call.period, call.burst, call.cost)
