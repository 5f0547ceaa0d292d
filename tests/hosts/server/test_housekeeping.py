"""What is done every few seconds goes on whatever fails, and says so once."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.server.wire import until
from tests.support.clock import FakeClock
from wws.errors import StoreError
from wws.hosts.server import housekeeping
from wws.hosts.server.housekeeping import FULL, Collector, Housekeeping
from wws.observe.ledger import Ledger
from wws.observe.tally import Tally
from wws.stores.memory import MemoryStore

ROW = (1, "s", "", "/r", "p", "m", 1, 0, 1, 10, 5, 0, 0.5)


class Store:
    """Swept; fails while `error` is set."""

    def __init__(self) -> None:
        self.swept = 0
        self.error: Exception | None = None

    async def sweep(self, max_entries: int = 1000) -> int:
        self.swept += 1
        if self.error is not None:
            raise self.error
        return 0


class Rows(Ledger):
    """A ledger that has a row at every asking, and cannot be written while `error` is set."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, lambda: 0.0, {})
        self.error: Exception | None = None
        self.number = 0

    def take(self) -> list[tuple[object, ...]]:
        self.number += 1
        return [(self.number, *ROW[1:])]

    def write(self, rows: list[tuple[object, ...]]) -> None:
        if self.error is not None:
            raise self.error
        super().write(rows)

    def minutes(self) -> list[int]:
        with sqlite3.connect(self._file or "") as connection:
            found = [minute for (minute,) in connection.execute("SELECT minute FROM usage ORDER BY minute")]
        connection.close()
        return found


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Store, Rows]:
    return Store(), Rows(tmp_path / "ledger.sqlite")


def keeper(store: Any, ledger: Ledger) -> Housekeeping:
    return Housekeeping(Tally(), ledger, store, asyncio.get_running_loop())


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "wws.server"]


async def test_a_store_that_fails_does_not_end_it(parts: tuple[Store, Rows], caplog: pytest.LogCaptureFixture) -> None:
    store, ledger = parts
    caplog.set_level(logging.INFO, "wws.server")
    rounds = keeper(store, ledger)
    store.error = StoreError("the disk is full")
    for _ in range(3):
        await rounds.round()
    assert said(caplog) == ["sweeping the store fails: the disk is full"]
    store.error = None
    for _ in range(2):
        await rounds.round()
    assert said(caplog)[1:] == ["sweeping the store works again"]
    store.error = StoreError("again")
    await rounds.round()
    assert said(caplog)[2:] == ["sweeping the store fails: again"]
    assert store.swept == 6
    assert ledger.minutes() == [1, 2, 3, 4, 5, 6]  # and the ledger was written all the while


async def test_rows_that_could_not_be_written_are_written_later(
    parts: tuple[Store, Rows], caplog: pytest.LogCaptureFixture
) -> None:
    store, ledger = parts
    rounds = keeper(store, ledger)
    ledger.error = sqlite3.OperationalError("disk I/O error")
    for _ in range(3):
        await rounds.round()
    assert said(caplog) == ["writing the ledger fails: disk I/O error"]
    assert store.swept == 3
    ledger.error = None
    await rounds.round()
    await rounds.round()
    assert ledger.minutes() == [1, 2, 3, 4, 5]


async def test_rows_that_wait_are_bounded(parts: tuple[Store, Rows], monkeypatch: pytest.MonkeyPatch) -> None:
    store, ledger = parts
    monkeypatch.setattr(housekeeping, "MAX_ROWS", 2)
    rounds = keeper(store, ledger)
    ledger.error = sqlite3.OperationalError("disk I/O error")
    for _ in range(4):
        await rounds.round()
    ledger.error = None
    await rounds.last()
    assert ledger.minutes() == [3, 4, 5]


async def test_what_is_left_at_the_end_is_written_or_told_lost(
    parts: tuple[Store, Rows], caplog: pytest.LogCaptureFixture
) -> None:
    store, ledger = parts
    await keeper(store, ledger).last()
    assert ledger.minutes() == [1]
    ledger.error = sqlite3.OperationalError("disk I/O error")
    await keeper(store, ledger).last()
    assert said(caplog) == ["the last rows of the ledger are lost: disk I/O error"]


async def test_rounds_come_by_themselves_until_they_are_ended(parts: tuple[Store, Rows], monkeypatch: pytest.MonkeyPatch) -> None:
    store, ledger = parts
    monkeypatch.setattr(housekeeping, "INTERVAL", 0.0)
    task = asyncio.create_task(keeper(store, ledger).keep())
    await until(lambda: store.swept >= 3, "three rounds")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_real_store_forgets_what_has_expired(tmp_path: Path) -> None:
    class Clock:
        now = 1_790_000_000.0

        def time(self) -> float:
            return self.now

        monotonic = time

        async def sleep(self, seconds: float) -> None:
            raise AssertionError

    clock = Clock()
    store = MemoryStore(clock)
    await store.put("a", b"1", 60.0)
    await store.put("b", b"2")
    clock.now += 61.0
    await keeper(store, Ledger(None, clock.time, {})).round()
    assert (await store.list()).keys == ["b"]
    assert store._values.keys() == {"b"}


def test_young_objects_in_each_round_and_all_of_them_each_minute() -> None:
    clock = FakeClock()
    asked: list[int] = []

    def collect(generation: int) -> int:
        asked.append(generation)
        clock.advance(0.2 if generation == 2 else 0.0)
        return 0

    collector = Collector(clock.monotonic, collect)
    for _ in range(int(FULL / 5) + 1):
        collector.round()
        clock.advance(5.0)
    assert asked == [1] * int(FULL / 5) + [2]
    asked.clear()
    for _ in range(45):  # it took 0.2 s: not again within 200 s
        collector.round()
        clock.advance(5.0)
    assert asked.count(2) == 1


async def test_keys_that_were_used_are_written_in_each_round(parts: tuple[Store, Rows], caplog: pytest.LogCaptureFixture) -> None:
    store, ledger = parts
    caplog.set_level(logging.INFO, "wws.server")
    failing = [True]

    async def write() -> None:
        if failing[0]:
            raise StoreError("gone")

    rounds = Housekeeping(Tally(), ledger, store, asyncio.get_running_loop(), key_use=write)
    await rounds.round()
    await rounds.round()
    failing[0] = False
    await rounds.round()
    assert said(caplog) == ["writing when keys were used fails: gone", "writing when keys were used works again"]
