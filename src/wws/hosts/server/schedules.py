"""The clock of scheduled functions: every process looks at it, one of all who share the store runs a tick.

Two claims make that so. The claim of a tick is never given back, so no tick runs twice. The claim of the schedule is held while
it runs, so that a run that takes longer than its period is not overtaken: the tick is missed, and told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from wws.bindings import KV, Claims, Clock
from wws.core.schedule.plan import CLAIM, STEP, Missed, Schedule, due, since, wait
from wws.errors import StoreError

__all__ = ["MISSED", "Scheduler"]

MISSED: Final = "wws_cron_missed"
_log = logging.getLogger("wws.cron")
_BACK: Final = 2.0
"""Seconds the wall may go back before that counts as a step."""
_MARGIN: Final = 30.0
"""Seconds past a function's timeout for which its schedule stays claimed by a process that has died."""

Tick = Callable[[Schedule, float], Awaitable[object]]
Measure = Callable[[str, tuple[str, ...], float], None]
After = Callable[[float], float]


class _Entry:
    def __init__(self, schedule: Schedule, after: After, now: float) -> None:
        self.schedule = schedule
        self.after = after
        self.upcoming = after(now)
        self.looked_back = False


class Scheduler:
    """`run` runs a tick and raises nothing; `longest` is the timeout of a run in seconds."""

    def __init__(self, claims: Claims, kv: KV, clock: Clock, run: Tick, measure: Measure) -> None:
        self._claims = claims
        self._kv = kv
        self._clock = clock
        self._run = run
        self._measure = measure
        self._entries: dict[Schedule, _Entry] = {}
        self._changed = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._seen = clock.time()
        self._failing = False
        self.longest = 30.0

    def use(self, schedules: Sequence[tuple[Schedule, After]], longest: float) -> None:
        """These schedules from now on; those there were keep their next tick."""
        now = self._clock.time()
        self._entries = {one: self._entries.get(one) or _Entry(one, after, now) for one, after in schedules}
        self.longest = longest
        self._changed.set()

    async def keep(self) -> None:
        """Rounds without end."""
        while True:
            self._changed.clear()
            seconds = await self.round()
            try:
                await asyncio.wait_for(self._changed.wait(), seconds)
            except TimeoutError:
                continue

    async def round(self) -> float:
        """Starts what is due: the seconds until the next round. Raises nothing."""
        now = self._clock.time()
        if now < self._seen - _BACK:
            _log.warning("the clock went back by %.0f s: the next ticks are reckoned anew", self._seen - now)
            for entry in self._entries.values():
                entry.upcoming = entry.after(now)
        self._seen = now
        for entry in list(self._entries.values()):
            try:
                if not entry.looked_back:
                    await self._look_back(entry, now)
                found = due(entry.upcoming, now, entry.after)
                if found.missed is not None:
                    await self._tell_once(entry.schedule, found.missed)
                if found.tick is not None:
                    await self._start(entry.schedule, found.tick)
                entry.upcoming = found.next
                self._failing = False
            except StoreError as error:  # the tick stays due while it is not too late
                if not self._failing:
                    _log.error("schedules wait for the store: %s", error)
                self._failing = True
                return 1.0
        return min([wait(self._clock.time(), entry.upcoming) for entry in self._entries.values()], default=STEP)

    async def drain(self, grace: float) -> None:
        """Waits up to `grace` seconds for runs, then cancels them."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)

    async def _look_back(self, entry: _Entry, now: float) -> None:
        """Tells of the ticks for which nobody was there, since the last one that anyone took."""
        last = await self._kv.get(_last(entry.schedule))
        missed = None if last is None else since(float(last), now, entry.after)
        if missed is not None:
            await self._tell_once(entry.schedule, missed)
            await self._kv.put(_last(entry.schedule), repr(missed.last))
        elif last is None:
            await self._kv.put(_last(entry.schedule), repr(now))
        entry.looked_back = True

    async def _tell_once(self, schedule: Schedule, missed: Missed) -> None:
        """One of all who share the store tells. A tick that anyone has run is not missed."""
        if await self._claims.claim(_tick(schedule, missed.last), CLAIM):
            self._tell(schedule, missed)

    def _tell(self, schedule: Schedule, missed: Missed) -> None:
        self._measure(MISSED, (schedule.function, missed.reason), missed.ticks)
        _log.warning(
            'function %s missed %d run%s of "%s" until %s: %s',
            schedule.function,
            missed.ticks,
            "" if missed.ticks == 1 else "s",
            schedule.cron,
            datetime.fromtimestamp(missed.last, UTC).isoformat(),
            _WHY[missed.reason],
        )

    async def _start(self, schedule: Schedule, tick: float) -> None:
        if not await self._claims.claim(_tick(schedule, tick), CLAIM):
            return
        await self._kv.put(_last(schedule), repr(tick))
        if not await self._claims.claim(_busy(schedule), self.longest + _MARGIN):
            self._tell(schedule, Missed(1, tick, "overlap"))
            return
        task = asyncio.get_running_loop().create_task(self._ran(schedule, tick))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _ran(self, schedule: Schedule, tick: float) -> None:
        try:
            await self._run(schedule, tick)
        finally:
            try:
                await self._claims.release(_busy(schedule))
            except StoreError as error:
                _log.error("the claim of %s ends by itself in %.0f s: %s", schedule.function, self.longest + _MARGIN, error)


_WHY: Final = {
    "down": "no gateway was running",
    "late": "the gateway came to it too late",
    "overlap": "the run before it was still going on",
}


def _last(schedule: Schedule) -> str:
    return f"cron:last:{schedule.name}"


def _tick(schedule: Schedule, tick: float) -> str:
    return f"cron:tick:{schedule.name}:{tick:.0f}"


def _busy(schedule: Schedule) -> str:
    return f"cron:busy:{schedule.name}"
