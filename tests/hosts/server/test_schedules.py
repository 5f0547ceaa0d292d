from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from wws.core.schedule.plan import Schedule
from wws.errors import StoreError
from wws.hosts.server.schedules import MISSED, Scheduler
from wws.project.crons import after
from wws.stores.lmdb_jobs import LmdbJobs
from wws.stores.memory import MemoryStore
from wws.stores.memory_jobs import MemoryJobs

EVERY_MINUTE = Schedule("* * * * *", "tidy")
HOURLY = Schedule("0 * * * *", "sweep")
NEXT = {one: after(one.cron, one.timezone) for one in (EVERY_MINUTE, HOURLY)}


class World:
    """Any number of processes on one store and one clock; the clock begins half a minute after a full hour."""

    def __init__(self, processes: int = 1, jobs: MemoryJobs | LmdbJobs | None = None) -> None:
        self.clock = FakeClock(wall=1_800_000_000.0 // 3600 * 3600 + 30.0)
        self.start = self.clock.time()
        self.jobs = jobs or MemoryJobs(self.clock)
        self.kv = MemoryStore(self.clock)
        self.ran: list[tuple[str, float]] = []
        self.missed: Counter[tuple[str, ...]] = Counter()
        self.takes: Callable[[], float] = lambda: 0.0
        self.processes = [self.process() for _ in range(processes)]

    def process(self, *schedules: Schedule) -> Scheduler:
        made = Scheduler(self.jobs, self.kv, self.clock, self.run, self.measure)
        made.use([(one, NEXT[one]) for one in schedules or (EVERY_MINUTE,)], 300.0)
        return made

    async def run(self, schedule: Schedule, tick: float) -> None:
        self.ran.append((schedule.function, tick - self.start))
        if self.takes():
            await asyncio.sleep(self.takes())

    def measure(self, name: str, labels: tuple[str, ...], value: float) -> None:
        assert name == MISSED
        self.missed[labels] += int(value)

    async def pass_(self, seconds: float) -> None:
        """Lets time pass, then every process wakes up."""
        self.clock.advance(seconds)
        await asyncio.gather(*[one.round() for one in self.processes])
        await asyncio.sleep(0)


async def test_a_tick_runs_once_however_many_look_at_the_clock() -> None:
    world = World(processes=8)
    for _ in range(20):
        await world.pass_(15.0)
    assert world.ran == [("tidy", 30.0 + 60.0 * number) for number in range(5)]
    assert not world.missed


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LmdbJobs]:
    opened = LmdbJobs(tmp_path, FakeClock())
    yield opened
    opened.close()


async def test_also_on_disk(disk: LmdbJobs) -> None:
    world = World(processes=4, jobs=disk)
    for _ in range(12):
        await world.pass_(10.0)
    assert world.ran == [("tidy", 30.0), ("tidy", 90.0)]


async def test_the_next_round_is_at_the_next_tick() -> None:
    world = World()
    assert await world.processes[0].round() == 30.0
    world.clock.advance(20.0)
    assert await world.processes[0].round() == 10.0


async def test_schedules_are_apart() -> None:
    world = World()
    world.processes[0].use(list(NEXT.items()), 30.0)
    for _ in range(60):
        await world.pass_(60.0)
    assert Counter(name for name, _ in world.ran) == {"tidy": 60, "sweep": 1}


async def test_what_nobody_was_there_for_is_told_once() -> None:
    world = World()
    await world.pass_(60.0)
    world.clock.advance(600.0)
    world.processes = [world.process() for _ in range(3)]
    await world.pass_(0.0)
    assert world.missed == {("tidy", "down"): 9}, "the ticks of the last minute are none that was missed"
    await world.pass_(60.0)
    assert world.missed == {("tidy", "down"): 9}
    assert world.ran[0] == ("tidy", 30.0) and len(world.ran) == 2


async def test_what_is_too_late_is_told_and_not_run() -> None:
    world = World()
    world.processes = [world.process(HOURLY)]
    await world.pass_(0.0)
    await world.pass_(3600.0 + 120.0)
    assert world.ran == [] and world.missed == {("sweep", "late"): 1}


async def test_a_run_is_not_overtaken_by_the_next() -> None:
    world = World(processes=2)
    going = asyncio.Event()
    world.takes = lambda: 0.0 if going.is_set() else 3600.0
    await world.pass_(60.0)
    await world.pass_(60.0)
    assert [tick for _, tick in world.ran] == [30.0]
    assert world.missed == {("tidy", "overlap"): 1}
    for one in world.processes:
        await one.drain(0.0)
    going.set()
    await world.pass_(60.0)
    assert [tick for _, tick in world.ran] == [30.0, 150.0]


async def test_a_schedule_of_a_process_that_died_is_free_again_after_a_while() -> None:
    world = World()
    world.takes = lambda: 3600.0
    await world.pass_(60.0)
    world.processes, world.takes = [world.process()], lambda: 0.0
    for _ in range(6):
        await world.pass_(60.0)
    assert [tick for _, tick in world.ran] == [30.0, 390.0], "its timeout and a little more later"
    assert world.missed == {("tidy", "overlap"): 5}


@pytest.mark.parametrize("back", [70.0, 600.0, 3600.0])
async def test_a_clock_that_goes_back_runs_nothing_twice(back: float) -> None:
    world = World(processes=2)
    for _ in range(5):
        await world.pass_(60.0)
    ran = len(world.ran)
    world.clock.step(-back)
    for _ in range(int(back // 60) + 3):
        await world.pass_(60.0)
    ticks = [tick for _, tick in world.ran]
    assert len(ticks) == len(set(ticks)), "none twice"
    assert len(ticks) > ran, "and it goes on when the clock has come to new ticks"


async def test_a_clock_that_goes_forward_runs_the_last_tick_and_tells_of_the_others() -> None:
    world = World()
    await world.pass_(60.0)
    world.clock.step(3600.0)
    await world.pass_(0.0)
    assert len(world.ran) == 2 and world.ran[-1][1] == 3630.0
    assert world.missed == {("tidy", "late"): 59}


async def test_a_store_that_fails_is_asked_again_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    await world.pass_(0.0)
    real, failures = world.jobs.claim, 3

    async def claim(name: str, ttl: float) -> bool:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreError("gone")
        return await real(name, ttl)

    world.jobs.claim = claim  # type: ignore[method-assign]
    world.clock.advance(30.0)
    for _ in range(3):
        assert await world.processes[0].round() == 1.0
    await world.pass_(1.0)
    assert world.ran == [("tidy", 30.0)]
    assert [record.message for record in caplog.records] == ["schedules wait for the store: gone"]


async def test_a_new_version_keeps_the_next_tick_of_what_stays() -> None:
    world = World()
    await world.pass_(0.0)
    world.clock.advance(45.0)  # past the tick, before the process has looked
    world.processes[0].use(list(NEXT.items()), 30.0)
    await world.pass_(0.0)
    assert world.ran == [("tidy", 30.0)]


async def test_the_loop_wakes_up_for_a_new_version() -> None:
    world = World()
    keeping = asyncio.get_running_loop().create_task(world.processes[0].keep())
    await asyncio.sleep(0)
    world.clock.advance(30.0)
    world.processes[0].use([(EVERY_MINUTE, NEXT[EVERY_MINUTE])], 30.0)
    while not world.ran:  # noqa: ASYNC110 - it is others who are waited for
        await asyncio.sleep(0)
    keeping.cancel()
    assert world.ran == [("tidy", 30.0)]
