from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from wws.stores.memory import MemoryStore


async def test_never_more_keys_than_it_may_hold(clock: FakeClock) -> None:
    store = MemoryStore(clock, max_keys=100)
    for n in range(1000):
        await store.put(f"k{n}", "v")
        await store.take(f"k{n}", 5, 60.0)
    assert len(store) == 200
    assert await store.get("k999") == b"v"
    assert await store.get("k899") is None


async def test_many_keys_of_callers_do_not_grow_it(clock: FakeClock) -> None:
    """As a flood from a botnet would: the default store stays at its bound."""
    store = MemoryStore(clock)
    for n in range(150_000):
        await store.take(f"v1:rate:a.{n}:address", 600, 60.0)
    assert len(store) == 100_000
    assert (await store.take("v1:rate:a.149999:address", 600, 60.0)).remaining == 598


async def test_the_least_recently_read_goes_first(clock: FakeClock) -> None:
    store = MemoryStore(clock, max_keys=3)
    for key in "abc":
        await store.put(key, key)
    await store.get("a")
    await store.put("d", "d")
    assert [await store.get(key) for key in "abcd"] == [b"a", None, b"c", b"d"]


async def test_the_expired_go_before_what_is_used_least(clock: FakeClock) -> None:
    store = MemoryStore(clock, max_keys=3)
    await store.put("key", "kept")
    await store.put("session", "s", 60.0)
    await store.put("other", "o")
    clock.advance(61)
    await store.put("new", "n")
    assert [await store.get(key) for key in ("key", "session", "other", "new")] == [b"kept", None, b"o", b"n"]


async def test_replacing_in_a_full_store_pushes_nobody_out(clock: FakeClock) -> None:
    store = MemoryStore(clock, max_keys=2)
    await store.put("a", "1")
    await store.put("b", "1")
    await store.put("b", "2")
    assert [await store.get(key) for key in "ab"] == [b"1", b"2"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 400), st.booleans()), max_size=60))
async def test_never_more_bytes_than_it_may_hold(steps: list[tuple[int, int, bool]]) -> None:
    store = MemoryStore(FakeClock(), max_bytes=1000)
    for key, size, delete in steps:
        if delete:
            await store.delete(str(key))
        else:
            await store.put(str(key), b"x" * size)
            assert await store.get(str(key)) == b"x" * size
        held = [await store.get(name) for name in (await store.list()).keys]
        assert sum(len(value) for value in held if value is not None) <= 1000


async def test_a_value_larger_than_all_is_held_alone(clock: FakeClock) -> None:
    store = MemoryStore(clock, max_bytes=10)
    await store.put("a", "1")
    await store.put("b", "x" * 50)
    assert [await store.get(key) for key in "ab"] == [None, b"x" * 50]


async def test_sweeping(clock: FakeClock) -> None:
    store = MemoryStore(clock)
    for n in range(20):
        await store.put(f"k{n}", "v", 10.0)
        await store.take(f"k{n}", 5, 10.0)
    await store.put("kept", "v")
    assert await store.sweep() == 0
    clock.advance(20)
    assert await store.sweep(5) == 10
    assert await store.sweep() == 30
    assert len(store) == 1


async def test_closing_forgets(clock: FakeClock) -> None:
    store = MemoryStore(clock)
    await store.put("k", "v")
    await store.take("k", 5, 60.0)
    store.close()
    assert len(store) == 0 and await store.get("k") is None


async def test_on_the_machines_own_clock() -> None:
    store = MemoryStore()
    await store.put("k", "v", 60.0)
    assert await store.get("k") == b"v"
    assert (await store.take("k", 1, 60.0)).allowed
    assert not (await store.take("k", 1, 60.0)).allowed


@pytest.mark.parametrize(("keys", "size"), [(0, 1), (1, 0)])
def test_bounds_are_at_least_one(keys: int, size: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MemoryStore(max_keys=keys, max_bytes=size)
