from __future__ import annotations

import pytest

from tests.hosts.deno.database import FakeDatabase
from tests.stores.contract import KVContract
from tests.support.clock import FakeClock
from wws.errors import StoreError
from wws.hosts.deno.kv import MAX_VALUE, DenoKV
from wws.stores import Store


class TestKV(KVContract):
    """What every store must do."""


@pytest.mark.parametrize("size", [65_526, 65_527, 65_528, 65_536, 200_000, 1_000_000])
async def test_a_value_larger_than_a_record(store: Store, database: FakeDatabase, size: int) -> None:
    value = bytes(range(256)) * (size // 256 + 1)
    await store.put("k", value[:size])
    assert await store.get("k") == value[:size]
    assert (await store.list()).keys == ["k"]
    assert max(len(data) for _, data in database.records.values()) <= 65_536


async def test_nothing_is_left_of_a_large_value(store: Store, database: FakeDatabase) -> None:
    await store.put("k", b"x" * 200_000)
    await store.put("k", b"y" * 300_000)
    assert await store.get("k") == b"y" * 300_000
    assert len(database.records) == 1 + 5
    await store.put("k", b"small")
    assert len(database.records) == 1
    await store.put("k", b"x" * 200_000)
    await store.delete("k")
    assert not database.records


async def test_a_part_that_is_gone_leaves_no_half_value(store: Store, database: FakeDatabase) -> None:
    await store.put("k", b"x" * 200_000)
    part = next(place for place in database.records if place[0] == "p")
    del database.records[part]
    assert await store.get("k") is None


async def test_a_large_value_expires_as_others_do(store: Store, clock: FakeClock) -> None:
    await store.put("k", b"x" * 200_000, 60.0)
    clock.advance(60.0)
    assert await store.get("k") is None
    assert (await store.list()).keys == []


async def test_a_value_that_is_too_large(store: Store, database: FakeDatabase) -> None:
    with pytest.raises(StoreError, match=f"allowed on Deno KV: {MAX_VALUE}"):
        await store.put("k", b"x" * (MAX_VALUE + 1))
    assert not database.records


async def test_what_deno_refuses_is_told_in_its_words(store: Store, database: FakeDatabase) -> None:
    with pytest.raises(StoreError, match="Key too large"):
        await store.put("k" * 3000, "v")
    database.failing = True
    for asked in (store.get("k"), store.put("k", "v"), store.delete("k"), store.list()):
        with pytest.raises(StoreError, match="database is gone"):
            await asked


# remembered for some seconds


@pytest.fixture
def near(database: FakeDatabase, clock: FakeClock) -> DenoKV:
    return DenoKV(database, clock.time, near=5.0)


@pytest.mark.parametrize("key", ["v1:sess:a", "v1:key:a", "v1:gone:a"])
async def test_what_was_read_of_a_session_or_key_is_believed_for_a_while(
    near: DenoKV, database: FakeDatabase, clock: FakeClock, key: str
) -> None:
    other = DenoKV(database, clock.time)
    assert await near.get(key) is None
    await other.put(key, "of another process")
    assert await near.get(key) is None
    clock.advance(5.0)
    assert await near.get(key) == b"of another process"
    database.calls.clear()
    assert await near.get(key) == b"of another process"
    assert database.calls == []


async def test_what_this_process_changes_is_seen_at_once(near: DenoKV) -> None:
    before = near.epoch()
    await near.put("v1:sess:a", "one")
    assert await near.get("v1:sess:a") == b"one"
    await near.put("v1:sess:a", "two")
    assert await near.get("v1:sess:a") == b"two"
    await near.delete("v1:sess:a")
    assert await near.get("v1:sess:a") is None
    assert near.epoch() > before


async def test_other_values_are_read_each_time(near: DenoKV, database: FakeDatabase, clock: FakeClock) -> None:
    await near.get("ns:VISITS:a")
    await DenoKV(database, clock.time).put("ns:VISITS:a", "1")
    assert await near.get("ns:VISITS:a") == b"1"
