from __future__ import annotations

import asyncio

import pytest

from tests.hosts.deno.conftest import DenoStore
from tests.hosts.deno.database import FakeDatabase
from tests.stores.contract import WAYS, CounterContract
from tests.support.clock import FakeClock
from wws.errors import StoreError
from wws.hosts.deno.counter import ATTEMPTS


class TestCounter(CounterContract):
    """What every store must do."""


async def test_a_crowd_costs_few_writes(store: DenoStore, database: FakeDatabase) -> None:
    decisions = await asyncio.gather(*(store.take("k", 1000, 60.0) for _ in range(100)))
    assert all(decision.allowed for decision in decisions)
    assert sorted(decision.remaining for decision in decisions) == list(range(900, 1000))
    assert database.calls.count("swap") == 2  # the first alone, and all who came meanwhile


async def test_a_known_count_is_not_read_again(store: DenoStore, database: FakeDatabase) -> None:
    for _ in range(4):
        await store.take("k", 10, 60.0)
    assert database.calls == ["get", "swap", "swap", "swap", "swap"]


@WAYS
async def test_processes_count_together(database: FakeDatabase, clock: FakeClock, burst: int | None) -> None:
    processes = [DenoStore(database, clock) for _ in range(3)]
    asked = [processes[number % 3].take("k", 5, 60.0, burst=burst) for number in range(60)]
    assert sum(decision.allowed for decision in await asyncio.gather(*asked)) == 5


async def test_what_another_process_gave_back_is_seen(database: FakeDatabase, clock: FakeClock) -> None:
    here, there = DenoStore(database, clock), DenoStore(database, clock)
    await here.take("k", 1, 60.0)
    assert not (await here.take("k", 1, 60.0)).allowed
    await there.give("k", 1, 60.0)
    assert (await here.take("k", 1, 60.0)).allowed


async def test_one_who_leaves_keeps_nobody_waiting(store: DenoStore) -> None:
    tasks = [asyncio.ensure_future(store.take("k", 5, 60.0)) for _ in range(8)]
    await asyncio.sleep(0)
    tasks[0].cancel()  # it was the one that decided for all
    tasks[3].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    allowed = [decision.allowed for decision in done if not isinstance(decision, BaseException)]
    assert len(allowed) == 6
    assert 4 <= sum(allowed) <= 5


async def test_a_mistake_of_one_is_not_the_others_trouble(store: DenoStore) -> None:
    done = await asyncio.gather(
        store.take("k", 5, 60.0), store.take("k", 5, 60.0, 6), store.take("k", 5, 60.0), return_exceptions=True
    )
    assert [type(one).__name__ for one in done] == ["Decision", "ValueError", "Decision"]


async def test_a_database_that_fails_fails_all_and_then_works_again(store: DenoStore, database: FakeDatabase) -> None:
    await store.take("k", 5, 60.0)
    database.failing = True
    done = await asyncio.gather(*(store.take("k", 5, 60.0) for _ in range(4)), return_exceptions=True)
    assert all(isinstance(one, StoreError) for one in done)
    database.failing = False
    assert (await store.take("k", 5, 60.0)).remaining == 3


async def test_too_many_others_is_an_error_and_no_admission(store: DenoStore, database: FakeDatabase) -> None:
    swap = database.swap

    async def overtaken(table: str, key: str, stamp: str, value: bytes, ttl: float) -> str:
        await swap(table, key, stamp, value, ttl)
        return ""

    database.swap = overtaken  # type: ignore[method-assign]
    with pytest.raises(StoreError, match=f"changed {ATTEMPTS} times"):
        await store.take("k", 1000, 60.0)
