"""One load for all who want the same thing at the same time."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.services import Background, make_env
from wws.functions.flight import Flights


class Load:
    """A load that is held until it is let go, and counts how often it began."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.gate.wait()
        return number


async def held(flights: Flights[int], load: Load, key: str, count: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.ensure_future(flights.share(key, load)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_one_load_serves_all_who_wait() -> None:
    flights, load = Flights[int](make_env().wws), Load()
    tasks = await held(flights, load, "a", 10)
    assert len(flights) == 1 and "a" in flights
    load.gate.set()
    assert await asyncio.gather(*tasks) == [1] * 10
    assert len(flights) == 0 and "a" not in flights
    assert await flights.share("a", load) == 2


async def test_each_key_has_its_own() -> None:
    flights, load = Flights[int](make_env().wws), Load()
    tasks = [*await held(flights, load, "a", 2), *await held(flights, load, "b", 2)]
    load.gate.set()
    assert await asyncio.gather(*tasks) == [1, 1, 2, 2]


async def test_who_leaves_does_not_stop_it() -> None:
    background = Background()
    flights, load = Flights[int](make_env(background=background).wws), Load()
    tasks = await held(flights, load, "a", 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(flights) == 1
    load.gate.set()
    await background.drain()
    assert load.begun == 1 and len(flights) == 0


async def test_a_failure_reaches_all_and_is_not_kept() -> None:
    async def fails() -> int:
        await asyncio.sleep(0)
        raise LookupError("no")

    flights = Flights[int](make_env(background=lambda awaitable: None).wws)
    results = await asyncio.gather(*(flights.share("a", fails) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 3
    assert len(flights) == 0
    with pytest.raises(LookupError):
        await flights.share("a", fails)


async def test_nothing_is_shared_where_that_is_forbidden() -> None:
    wws = make_env().wws
    wws.share_in_flight = False
    flights, load = Flights[int](wws), Load()
    tasks = await held(flights, load, "a", 3)
    assert load.begun == 3 and len(flights) == 0
    load.gate.set()
    assert await asyncio.gather(*tasks) == [1, 2, 3]
