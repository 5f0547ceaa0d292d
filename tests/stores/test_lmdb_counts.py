"""Counts of one turn of the event loop in one transaction: only while alone, never twice, and told when they cannot be stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from tests.stores.contract import in_turns
from tests.stores.test_lmdb import ended, python
from tests.support.clock import FakeClock
from wws.errors import StoreError
from wws.stores.lmdb import LmdbStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(path: Path, clock: FakeClock) -> Iterator[LmdbStore]:
    opened = in_turns(LmdbStore(path, clock))
    yield opened
    opened.close()


def transactions(store: LmdbStore) -> int:
    """Write transactions there have been."""
    return store._counts.file.env.info()["last_txnid"]


async def turn() -> None:
    """The end of this turn of the event loop."""
    await asyncio.sleep(0)


async def test_one_transaction_for_a_turn(store: LmdbStore) -> None:
    before = transactions(store)
    for _ in range(10):
        for key in "abc":
            await store.take(key, 100, 60.0)
    assert transactions(store) == before
    await turn()
    assert transactions(store) == before + 1
    await store.take("a", 100, 60.0)
    await turn()
    assert transactions(store) == before + 2
    assert (await store.take("a", 100, 60.0)).remaining == 88


async def test_a_turn_of_refusals_writes_nothing(store: LmdbStore) -> None:
    await store.take("a", 1, 60.0)
    await turn()
    before = transactions(store)
    assert not (await store.take("a", 1, 60.0)).allowed
    await turn()
    assert transactions(store) == before


async def test_what_is_done_to_the_file_comes_after_what_was_counted(store: LmdbStore, clock: FakeClock) -> None:
    decision = await store.take("a", 2, 60.0)
    assert decision.remaining == 1
    await store.give("a", 2, 60.0)
    assert [(await store.take("a", 2, 60.0)).allowed for _ in range(3)] == [True, True, False]
    assert store.files()[1][1] > 0
    clock.advance(1000.0)
    assert await store.sweep() == 1
    assert (await store.take("a", 2, 60.0)).remaining == 1


@pytest.mark.parametrize(("first", "then"), [(None, 5), (5, None)])
async def test_a_limit_that_is_changed_to_another_algorithm_counts_anew(
    store: LmdbStore, first: int | None, then: int | None
) -> None:
    await store.take("a", 10, 60.0, 5, burst=first)
    await turn()
    assert (await store.take("a", 10, 60.0, burst=then)).remaining == (then or 10) - 1


async def test_more_callers_in_a_turn_than_are_kept_decoded(store: LmdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wws.stores.lmdb_counts._KNOWN", 4)
    for left in (2, 1, 0):
        decisions = [await store.take(f"caller {n}", 3, 60.0) for n in range(11)]
        assert {decision.remaining for decision in decisions} == {left}
    await turn()
    assert not any([(await store.take(f"caller {n}", 3, 60.0)).allowed for n in range(11)])
    assert len(store._counts._known) <= 4


async def test_who_opens_the_store_too_is_seen_at_once(store: LmdbStore, path: Path, clock: FakeClock) -> None:
    assert (await store.take("k", 100, 3600.0)).remaining == 99
    await turn()
    code = "async def main(store, now):\n    print((await store.take('k', 100, 3600.0, 30, float(now))).remaining)\n"
    assert ended(await asyncio.to_thread(python, code, path, clock.time())).strip() == "69"
    assert (await store.take("k", 100, 3600.0)).remaining == 68
    before = transactions(store)
    await store.take("k", 100, 3600.0)
    await store.take("k", 100, 3600.0)
    assert transactions(store) == before + 2, "a transaction for each, as long as others may be there"


async def test_alone_again(store: LmdbStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wws.stores.lmdb_counts._LOOK_EVERY", 5)
    code = "async def main(store):\n    print('here', flush=True)\n    sys.stdin.readline()\n"
    other = python(code, path)
    assert other.stdout is not None and other.stdout.readline() == "here\n"
    for _ in range(12):
        await store.take("k", 100, 3600.0)
    before = transactions(store)
    await store.take("k", 100, 3600.0)
    assert transactions(store) == before + 1, "the other is still there"
    ended(other, "end\n")
    for _ in range(5):
        await store.take("k", 100, 3600.0)
    await turn()
    before = transactions(store)
    assert [(await store.take("k", 100, 3600.0)).remaining for _ in range(3)] == [81, 80, 79]
    assert transactions(store) == before


def test_exact_while_processes_come_and_go(path: Path) -> None:
    """One is alone and counts by turns, three more come while it does; at each moment one of them looks whether it is alone."""
    code = """
import wws.stores.lmdb_counts as counts
counts._LOOK_EVERY = 3
async def main(store, asked):
    store.of_turns(lambda commit: asyncio.get_running_loop().call_soon(commit))
    admitted = 0
    for _ in range(int(asked)):
        for _ in range(5):
            admitted += (await store.take("k", 1500, 86400.0)).allowed
        await asyncio.sleep(0)
    print(admitted)
"""
    processes = [python(code, path, asked) for asked in (400, 20, 60, 150, 150, 40)]
    admitted = [int(ended(process)) for process in processes]
    assert sum(admitted) == 1500


def test_what_was_answered_outlives_a_kill(path: Path) -> None:
    code = """
import os, signal
async def main(store):
    store.of_turns(lambda commit: asyncio.get_running_loop().call_soon(commit))
    for _ in range(7):
        await store.take("k", 100, 86400.0)
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = python(code, path)
    killed.communicate()
    store = LmdbStore(path)
    assert asyncio.run(store.take("k", 100, 86400.0)).remaining == 92
    store.close()


async def test_a_turn_that_cannot_be_stored_still_counts_and_is_told(store: LmdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.take("k", 10, 60.0)
    await turn()

    def full(self: object, txn: object) -> None:
        raise lmdb.DiskError("no space")

    with monkeypatch.context() as patched:
        patched.setattr("wws.stores.lmdb_counts.LmdbCounts._put", full)
        await store.take("k", 10, 60.0, 3)
        await turn()
        with pytest.raises(StoreError, match=r"counters.mdb cannot be written: look at the disk"):
            await store.take("k", 10, 60.0)
    assert (await store.take("k", 10, 60.0)).remaining == 5
    await turn()
    store._counts._known.clear()
    assert (await store.take("k", 10, 60.0)).remaining == 4


def test_closing_stores_what_is_counted(path: Path, clock: FakeClock) -> None:
    first = in_turns(LmdbStore(path, clock))

    async def count() -> None:
        await first.take("k", 10, 60.0, 4)
        first.close()

    asyncio.run(count())
    again = LmdbStore(path, clock)
    assert asyncio.run(again.take("k", 10, 60.0)).remaining == 5
    again.close()
