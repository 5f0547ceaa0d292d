"""KV namespaces as functions see them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from wws.bindings import MAX_VALUE
from wws.functions.namespace import Namespace
from wws.stores.memory import MemoryStore


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def visits(store: MemoryStore) -> Namespace:
    return Namespace(store, "VISITS")


async def test_values_come_back_in_each_type(visits: Namespace) -> None:
    await visits.put("a", '{"n": 1}')
    assert await visits.get("a") == '{"n": 1}'
    assert await visits.get("a", "bytes") == b'{"n": 1}'
    assert await visits.get("a", type="json") == {"n": 1}
    assert await visits.get("none") is None
    assert await visits.get("none", "json") is None
    await visits.put("raw", b"\xff\x00")
    assert await visits.get("raw", "bytes") == b"\xff\x00"
    with pytest.raises(UnicodeDecodeError):
        await visits.get("raw")
    with pytest.raises(ValueError, match="type is text, bytes or json, not 'stream'"):
        await visits.get("a", "stream")


async def test_namespaces_do_not_see_each_other_nor_the_gateway(store: MemoryStore) -> None:
    one, two = Namespace(store, "ONE"), Namespace(store, "TWO")
    await store.put("v1:session:x", b"the gateway's own")
    await one.put("k", "1")
    await two.put("k", "2")
    assert (await one.get("k"), await two.get("k")) == ("1", "2")
    assert (await one.list()).keys == ["k"]
    await one.delete("k")
    await one.delete("k")
    assert (await one.get("k"), await two.get("k")) == (None, "2")
    assert await store.get("v1:session:x") == b"the gateway's own"
    for name in ("../x", "v1:session:x", "ns:TWO:k"):
        assert await one.get(name) is None


@pytest.mark.parametrize("size", [0, 1, MAX_VALUE])
async def test_values_up_to_the_portable_size(visits: Namespace, size: int) -> None:
    await visits.put("a", b"x" * size)
    assert await visits.get("a", "bytes") == b"x" * size


@pytest.mark.parametrize("value", [b"x" * (MAX_VALUE + 1), "é" * (MAX_VALUE // 2 + 1)])
async def test_values_over_it_are_refused(visits: Namespace, value: str | bytes) -> None:
    with pytest.raises(ValueError, match="a value is at most 65536 bytes"):
        await visits.put("a", value)
    assert await visits.get("a", "bytes") is None


@pytest.mark.parametrize("ttl", [0, 1, 59.999, -1])
async def test_an_expiration_that_is_not_portable(visits: Namespace, ttl: float) -> None:
    with pytest.raises(ValueError, match="at least 60 seconds"):
        await visits.put("a", "1", expiration_ttl=ttl)


async def test_an_expiration(visits: Namespace, clock: FakeClock) -> None:
    await visits.put("a", "1", expiration_ttl=60)
    clock.advance(59.9)
    assert await visits.get("a") == "1"
    clock.advance(0.2)
    assert await visits.get("a") is None


@given(st.text(max_size=200))
def test_keys_are_1_to_512_bytes(key: str) -> None:
    async def run() -> None:
        visits = Namespace(MemoryStore(FakeClock()), "N")
        try:
            size = len(key.encode())
        except UnicodeEncodeError:
            size = 0
        if 1 <= size <= 512:
            await visits.put(key, "1")
            assert (await visits.list()).keys == [key]
        else:
            for refused in (visits.get(key), visits.put(key, "1"), visits.delete(key)):
                with pytest.raises(ValueError, match=r"."):
                    await refused

    asyncio.run(run())


@given(st.sets(st.text("ab/é", min_size=1, max_size=4), max_size=30), st.text("ab/", max_size=2), st.integers(1, 7))
def test_listing_in_pages_gives_every_key_once_in_order(keys: set[str], prefix: str, limit: int) -> None:
    async def run() -> list[str]:
        store = MemoryStore(FakeClock())
        visits = Namespace(store, "N")
        await Namespace(store, "N2").put(f"{prefix}other", "1")
        for key in keys:
            await visits.put(key, "1")
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await visits.list(prefix, cursor, limit)
            assert len(page.keys) <= limit
            found += page.keys
            cursor = page.cursor
            if cursor is None:
                return found

    assert asyncio.run(run()) == sorted((key for key in keys if key.startswith(prefix)), key=str.encode)
