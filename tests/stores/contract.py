"""What every store must do; test_contract.py runs it on all of them. A store without servers joins by one line in STORES."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from wws.bindings import MAX_VALUE, Clock, Kept
from wws.stores import Store, WholeStore
from wws.stores.lmdb import LmdbStore
from wws.stores.memory import MemoryStore


def in_turns(store: LmdbStore) -> LmdbStore:
    """`store` as a gateway has it: what is counted in one turn of the event loop shares a transaction."""
    store.of_turns(lambda commit: asyncio.get_running_loop().call_soon(commit))
    return store


STORES: dict[str, Callable[[Path, Clock], Store]] = {
    "memory": lambda path, clock: MemoryStore(clock),
    "lmdb": lambda path, clock: LmdbStore(path / "state", clock),
    "lmdb in turns": lambda path, clock: in_turns(LmdbStore(path / "state", clock)),
}


class KVContract:
    """bindings.KV."""

    async def test_a_missing_key_is_none(self, store: Store) -> None:
        assert await store.get("nobody") is None

    @pytest.mark.parametrize("value", [b"", b"x", b"\x00\xff\n", b"v" * MAX_VALUE])
    async def test_bytes_come_back_as_they_were(self, store: Store, value: bytes) -> None:
        await store.put("k", value)
        assert await store.get("k") == value

    async def test_the_epoch_changes_when_something_may_have_been_taken_back(self, store: Store) -> None:
        epoch = getattr(store, "epoch", None)
        if epoch is None:
            return  # such a store is asked every time
        await store.put("k", "v")
        before = epoch()
        await store.get("k")
        await store.put("k", "w")
        await store.take("c", 1, 60.0)
        assert epoch() == before
        await store.put("gone", "1", durable=True)
        after = epoch()
        assert after != before
        await store.delete("k")
        assert epoch() != after

    async def test_text_comes_back_as_utf8(self, store: Store) -> None:
        await store.put("k", "caf\u00e9 \U0001f600")
        assert await store.get("k") == "caf\u00e9 \U0001f600".encode()

    async def test_a_second_put_replaces(self, store: Store) -> None:
        await store.put("k", "one", 5.0)
        await store.put("k", "two")
        assert await store.get("k") == b"two"

    async def test_a_put_without_ttl_ends_an_earlier_one(self, store: Store, clock: FakeClock) -> None:
        await store.put("k", "one", 5.0)
        await store.put("k", "two")
        clock.advance(1e9)
        assert await store.get("k") == b"two"

    @pytest.mark.parametrize("durable", [False, True])
    async def test_absent_once_expired(self, store: Store, clock: FakeClock, durable: bool) -> None:
        await store.put("k", "v", 60.0, durable=durable)
        clock.advance(59.5)
        assert await store.get("k") == b"v"
        clock.advance(0.5)
        assert await store.get("k") is None
        assert (await store.list()).keys == []

    @pytest.mark.parametrize("ttl", [0.0, -5.0])
    async def test_expired_at_once(self, store: Store, ttl: float) -> None:
        await store.put("k", "old")
        await store.put("k", "v", ttl)
        assert await store.get("k") is None

    @pytest.mark.parametrize("durable", [False, True])
    async def test_delete(self, store: Store, durable: bool) -> None:
        await store.put("k", "v", durable=durable)
        await store.delete("k")
        await store.delete("k")
        await store.delete("nobody")
        assert await store.get("k") is None
        assert (await store.list()).keys == []
        await store.put("k", "again")
        assert await store.get("k") == b"again"

    @pytest.mark.parametrize("key", ["k" * 511, "k" * 512, "k" * 2000, "\u00e9" * 256, "a b\n\u0000:*%", "\U0001f600"])
    async def test_keys_of_any_length_and_alphabet(self, store: Store, key: str) -> None:
        await store.put(key, "mine")
        await store.put(key + "x", "other", 60.0)
        assert await store.get(key) == b"mine"
        assert await store.get(key + "x") == b"other"
        assert await store.get(key + "y") is None
        assert sorted((await store.list(key)).keys) == [key, key + "x"]
        await store.delete(key)
        assert await store.get(key) is None
        assert await store.get(key + "x") == b"other"

    async def test_list_is_in_order_of_utf8_and_by_prefix(self, store: Store) -> None:
        for key in ["b", "a:2", "a:10", "a", "\u00e9", "z", "\U0001f600", "a:", "\uffff"]:
            await store.put(key, "v")
        assert (await store.list()).keys == ["a", "a:", "a:10", "a:2", "b", "z", "\u00e9", "\uffff", "\U0001f600"]
        assert await store.list("a:") == (["a:", "a:10", "a:2"], None)
        assert await store.list("nobody") == ([], None)
        assert (await store.list("\u00e9")).keys == ["\u00e9"]

    @pytest.mark.parametrize("limit", [1, 3, 7, 25, 26, 1000])
    async def test_pages_join_up(self, store: Store, limit: int) -> None:
        keys = [f"p:{n:02}" for n in range(25)]
        for key in [*reversed(keys), "q", "o"]:
            await store.put(key, "v")
        seen: list[str] = []
        cursor = None
        while True:
            page = await store.list("p:", cursor, limit)
            assert len(page.keys) <= limit
            seen += page.keys
            cursor = page.cursor
            if cursor is None:
                break
        assert seen == keys

    async def test_a_page_goes_on_where_the_last_ended_whatever_changed(self, store: Store) -> None:
        for n in range(10):
            await store.put(f"p:{n}", "v")
        page = await store.list("p:", limit=4)
        await store.delete("p:3")
        await store.put("p:00", "before the cursor")
        await store.put("p:35", "after it")
        assert (await store.list("p:", page.cursor)).keys == ["p:35", "p:4", "p:5", "p:6", "p:7", "p:8", "p:9"]

    async def test_long_names_are_listed_too(self, store: Store) -> None:
        keys = ["n:" + "x" * length for length in (10, 477, 509, 510, 600, 700)]
        for key in keys:
            await store.put(key, "v")
        names: list[str] = []
        cursor = None
        for _ in keys:
            page = await store.list("n:", cursor, 1)
            names += page.keys
            cursor = page.cursor
        assert cursor is None and sorted(names) == keys

    @pytest.mark.parametrize("limit", [0, -1, 1001])
    async def test_the_size_of_a_page(self, store: Store, limit: int) -> None:
        with pytest.raises(ValueError, match="1 to 1000"):
            await store.list(limit=limit)

    async def test_counts_are_no_values(self, store: Store) -> None:
        await store.take("k", 5, 60.0)
        assert await store.get("k") is None
        assert (await store.list()).keys == []
        await store.put("k", "v")
        assert (await store.take("k", 5, 60.0)).remaining == 3

    async def test_many_at_once(self, store: Store) -> None:
        await asyncio.gather(*(store.put(f"k{n}", str(n), durable=n % 10 == 0) for n in range(300)))
        values = await asyncio.gather(*(store.get(f"k{n}") for n in range(300)))
        assert values == [str(n).encode() for n in range(300)]
        await asyncio.gather(*(store.delete(f"k{n}") for n in range(300)))
        assert (await store.list()).keys == []


class KeptContract:
    """stores.WholeStore.kept, where a store's state can be carried elsewhere."""

    async def test_until_when_a_value_is_kept(self, store: WholeStore, clock: FakeClock) -> None:
        assert await store.kept("nobody") is None
        await store.put("for ever", "v")
        await store.put("a minute", b"\x00v", 60.0)
        await store.put("n" * 600, "long name", 60.0)
        assert await store.kept("for ever") == Kept(b"v", None)
        for name, value in (("a minute", b"\x00v"), ("n" * 600, b"long name")):
            kept = await store.kept(name)
            assert kept is not None
            assert kept.value == value
            assert kept.expires_at == pytest.approx(clock.time() + 60.0, abs=0.5)


WAYS = pytest.mark.parametrize("burst", [None, 5], ids=["window", "gcra"])


class CounterContract:
    """bindings.Counter."""

    @WAYS
    async def test_a_hundred_at_once_and_exactly_the_limit(self, store: Store, burst: int | None) -> None:
        decisions = await asyncio.gather(*(store.take("k", 5, 60.0, burst=burst) for _ in range(100)))
        assert sum(decision.allowed for decision in decisions) == 5
        assert sorted((d.remaining for d in decisions), reverse=True)[:5] == [4, 3, 2, 1, 0]

    @WAYS
    async def test_waiting_as_told_works(self, store: Store, clock: FakeClock, burst: int | None) -> None:
        for _ in range(3):
            clock.advance(0.37)
            while (decision := await store.take("k", 5, 60.0, burst=burst)).allowed:
                assert decision.retry_after == 0.0
            assert decision.retry_after > 0.0
            clock.advance(decision.retry_after)
            assert (await store.take("k", 5, 60.0, burst=burst)).allowed

    @WAYS
    async def test_hammering_does_not_move_the_admission(self, store: Store, clock: FakeClock, burst: int | None) -> None:
        await store.take("k", 5, 60.0, 5, burst=burst)
        due = set()
        for _ in range(50):
            decision = await store.take("k", 5, 60.0, burst=burst)
            assert not decision.allowed
            due.add(round(clock.time() + decision.retry_after, 3))
            clock.advance(0.2)
        assert len(due) == 1

    async def test_constant_traffic_below_the_limit_is_never_refused(self, store: Store, clock: FakeClock) -> None:
        for _ in range(120):
            assert (await store.take("k", 60, 60.0)).allowed
            clock.advance(30.0)

    @WAYS
    async def test_keys_are_counted_apart(self, store: Store, burst: int | None) -> None:
        await store.take("a", 5, 60.0, 5, burst=burst)
        assert (await store.take("b", 5, 60.0, burst=burst)).remaining == 4
        await store.take("long" * 300 + "a", 5, 60.0, 5, burst=burst)
        assert (await store.take("long" * 300 + "b", 5, 60.0, burst=burst)).allowed

    @WAYS
    async def test_giving_back(self, store: Store, clock: FakeClock, burst: int | None) -> None:
        taken_at = clock.time()
        await store.take("k", 5, 60.0, 5, burst=burst)
        assert not (await store.take("k", 5, 60.0, burst=burst)).allowed
        await store.give("k", 5, 60.0, 2, taken_at, burst=burst)
        assert (await store.take("k", 5, 60.0, burst=burst)).remaining == 1
        await store.give("k", 5, 60.0, burst=burst)
        assert (await store.take("k", 5, 60.0, burst=burst)).remaining == 1
        await store.give("nobody", 5, 60.0, burst=burst)

    @WAYS
    async def test_a_caller_may_bring_the_time(self, store: Store, clock: FakeClock, burst: int | None) -> None:
        await store.take("k", 5, 60.0, 5, clock.time(), burst=burst)
        assert not (await store.take("k", 5, 60.0, 1, clock.time() + 1, burst=burst)).allowed
        assert (await store.take("k", 5, 60.0, 1, clock.time() + 61, burst=burst)).allowed

    @WAYS
    async def test_a_cost_that_can_never_be_admitted(self, store: Store, burst: int | None) -> None:
        with pytest.raises(ValueError, match="never be admitted"):
            await store.take("k", 5, 60.0, 6, burst=burst)
        assert (await store.take("k", 5, 60.0, 5, burst=burst)).allowed, "and nothing was counted"

    @WAYS
    async def test_a_clock_put_back_neither_frees_nor_locks(self, store: Store, clock: FakeClock, burst: int | None) -> None:
        await store.take("k", 5, 60.0, 5, burst=burst)
        clock.step(-86_400.0)
        decision = await store.take("k", 5, 60.0, burst=burst)
        assert not decision.allowed and 0 < decision.retry_after <= 61.0
        clock.advance(decision.retry_after)
        assert (await store.take("k", 5, 60.0, burst=burst)).allowed

    async def test_a_window_that_is_over_begins_anew(self, store: Store, clock: FakeClock) -> None:
        decision = await store.take("k", 5, 60.0, 5)
        clock.advance(decision.reset_after)
        assert (await store.take("k", 5, 60.0, 5)).allowed

    async def test_a_changed_limit_keeps_the_count(self, store: Store) -> None:
        await store.take("k", 5, 60.0, 5)
        assert (await store.take("k", 100_000, 60.0)).remaining == 99_994
        assert not (await store.take("k", 5, 60.0)).allowed
        assert (await store.take("k", 60, 60.0, burst=5)).remaining == 4, "another algorithm begins anew"


class SweepContract:
    """stores.Store.sweep, where the store itself has to look for what has expired."""

    async def test_sweeping_removes_the_expired_alone(self, store: Store, clock: FakeClock) -> None:
        for n in range(10):
            await store.put(f"k{n}", "v", 60.0 if n % 2 else None)
            await store.take(f"k{n}", 5, 60.0 if n % 2 else 3600.0)
        await store.list()
        assert await store.sweep() == 0
        clock.advance(62.0)
        removed = 0
        for _ in range(5):
            step = await store.sweep(3)
            assert step <= 6, "of each kind"
            removed += step
        assert removed == 10
        assert len((await store.list()).keys) == 5
        assert (await store.take("k0", 5, 3600.0)).remaining == 3
