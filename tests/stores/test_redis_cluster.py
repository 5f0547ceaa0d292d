"""A cluster that changes: slots that move, a node that ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from tests.support.redis import RedisServer, make_cluster, require_redis
from wws.errors import StoreError
from wws.stores.redis import RedisStore
from wws.stores.redis_address import parse_redis
from wws.stores.redis_topology import slot_of

SOON = 10.0


@given(st.one_of(st.binary(max_size=40), st.text(alphabet="{}ab", max_size=12).map(str.encode)))
def test_slots_are_those_of_the_reference_client(key: bytes) -> None:
    assert slot_of(key) == key_slot(key)


@pytest.fixture
async def store(cluster: list[RedisServer]) -> AsyncIterator[RedisStore]:
    opened = RedisStore(parse_redis(f"redis+cluster://127.0.0.1:1,127.0.0.1:{cluster[1].port}"), budget=5.0)
    yield opened
    opened.close()
    await asyncio.sleep(0)


def owner(servers: list[RedisServer], slot: int) -> int:
    """The index of the server that has a slot."""
    return next(n for n in range(len(servers)) if n * 16384 // len(servers) <= slot < (n + 1) * 16384 // len(servers))


async def test_keys_are_spread_over_all_nodes(store: RedisStore, cluster: list[RedisServer]) -> None:
    await asyncio.gather(*(store.put(f"k{n}", "v") for n in range(300)))
    await asyncio.gather(*(store.take(f"k{n}", 5, 60.0) for n in range(300)))
    sizes = [server.call("DBSIZE") for server in cluster]
    assert sum(sizes) == 600 and min(sizes) > 100
    assert len((await store.list("k")).keys) == 300
    await store.ping()


async def test_names_with_one_tag_lie_together(store: RedisStore) -> None:
    names = [f"wws:{{queue}}:{n}" for n in range(5)]
    for name in names:
        await store.command("SET", name, name)
    assert await store.command("MGET", *names) == [name.encode() for name in names]
    assert await store.command("EVAL", "return redis.call('GET', KEYS[1])", 1, names[0], key=names[0]) == names[0].encode()


@pytest.mark.parametrize("name", ["wws:v:k", "wws:c:c"])
@pytest.mark.parametrize("finished", [False, True], ids=["ask", "moved"])
async def test_a_slot_that_moves(store: RedisStore, cluster: list[RedisServer], finished: bool, name: str) -> None:
    await store.put("k", "v")
    assert (await store.take("c", 5, 60.0)).allowed
    slot = slot_of(name.encode())
    source = cluster[owner(cluster, slot)]
    target = next(server for server in cluster if server is not source)
    ids = {server: server.call("CLUSTER", "MYID").decode() for server in cluster}
    try:
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        source.call("MIGRATE", "127.0.0.1", target.port, name, 0, 5000)
        if finished:
            for server in (target, source):
                server.call("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        if name == "wws:v:k":
            assert await store.get("k") == b"v"
            await store.put("k", "w")
            assert target.call("DBSIZE") >= 1
        else:
            assert (await store.take("c", 5, 60.0)).remaining == 3, "and the script went with it"
            await store.give("c", 5, 60.0)
    finally:
        target.call("FLUSHALL")
        for server in cluster:
            server.call("CLUSTER", "SETSLOT", slot, "NODE", ids[source])


async def test_a_node_that_ends_takes_only_its_own_keys_with_it() -> None:
    require_redis()
    with make_cluster() as servers:
        store = RedisStore(parse_redis(f"redis+cluster://127.0.0.1:{servers[0].port}"), budget=0.5)
        names = [f"k{n}" for n in range(60)]
        await asyncio.gather(*(store.put(name, name) for name in names))
        servers[2].stop()
        lost = {name for name in names if owner(servers, slot_of(f"wws:v:{name}".encode())) == 2}
        assert 0 < len(lost) < 60
        for _ in range(2):
            for name in names:
                began = time.monotonic()
                try:
                    value = await store.get(name)
                except StoreError:
                    assert name in lost
                else:
                    assert name not in lost and value == name.encode()
                assert time.monotonic() - began < 1.0
        servers[2].start()
        end = time.monotonic() + 2 * SOON
        while True:
            try:
                await asyncio.gather(*(store.put(name, "again") for name in names))
                break
            except StoreError:
                assert time.monotonic() < end, "it never came back"
                await asyncio.sleep(0.1)
        store.close()
        await asyncio.sleep(0)


async def test_no_node_at_all() -> None:
    store = RedisStore(parse_redis("redis+cluster://127.0.0.1:1,127.0.0.1:2"), budget=0.5)
    with pytest.raises(StoreError, match="no node of the cluster answers"):
        await store.get("k")
    with pytest.raises(StoreError, match="no node of the cluster answers"):
        await store.take("k", 5, 60.0)
    store.close()
    await asyncio.sleep(0)
