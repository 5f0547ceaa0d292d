"""The contract suite on every store: in memory, on disk, on one Redis server, on a cluster of three."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.stores.contract import STORES, CounterContract, KeptContract, KVContract, SweepContract
from tests.support.clock import FakeClock
from tests.support.redis import RedisClock, RedisServer
from wws.stores import Store, WholeStore
from wws.stores.memory import MemoryStore
from wws.stores.redis import RedisStore
from wws.stores.redis_address import parse_redis
from wws.stores.state_file import Imported, export_state, import_state, records

PEPPER = b"p" * 32
SERVERS = {"redis": "redis://{}", "cluster": "redis+cluster://{}"}


@pytest.fixture(params=[*STORES, *SERVERS])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def servers(request: pytest.FixtureRequest, kind: str) -> list[RedisServer]:
    """The servers behind the store, if any."""
    if kind not in SERVERS:
        return []
    found: list[RedisServer] | RedisServer = request.getfixturevalue(kind)
    return found if isinstance(found, list) else [found]


@pytest.fixture
def clock(servers: list[RedisServer]) -> FakeClock:
    """A clock that stands still, by which the store's servers go too."""
    return RedisClock(servers) if servers else FakeClock()


@pytest.fixture
def store(kind: str, servers: list[RedisServer], tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    """Each of the stores, empty."""
    if servers:
        places = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        yield RedisStore(parse_redis(SERVERS[kind].format(places)), clock, budget=5.0)
    else:
        opened = STORES[kind](tmp_path, clock)
        yield opened
        opened.close()


@pytest.fixture(autouse=True)
async def _disconnected(store: Store) -> AsyncIterator[None]:
    """Connections end in the loop they were made in."""
    yield
    if isinstance(store, RedisStore):
        store.close()


class TestKV(KVContract):
    """On every store."""


class TestKept(KeptContract):
    """On every store."""


class TestCounter(CounterContract):
    """On every store."""


@pytest.mark.parametrize("kind", STORES)
class TestSweep(SweepContract):
    """On the stores that forget by themselves what has expired."""


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_server_forgets_what_has_expired(store: Store, servers: list[RedisServer], clock: FakeClock) -> None:
    for n in range(10):
        await store.put(f"k{n}", "v", 60.0)
        await store.take(f"k{n}", 5, 60.0)
        await store.take(f"g{n}", 5, 60.0, burst=5)
    assert sum(server.call("DBSIZE") for server in servers) == 30
    assert await store.sweep() == 0
    clock.advance(62.0)
    assert sum(len(list(server.client.scan_iter())) for server in servers) == 0


async def test_what_was_kept_in_one_store_is_kept_in_the_other(store: WholeStore, tmp_path: Path, clock: FakeClock) -> None:
    """Out of each of the stores into a file, and from there into another one, and back into an empty one of its kind."""
    file, again, other = tmp_path / "file", tmp_path / "again", MemoryStore(clock)
    await store.put("v1:key:a", b'{"hash":"00"}', durable=True)
    await store.put("ns:VISITS:Z\u00fcrich", b"\x00\xff")
    await store.put("v1:sess:00", b"s", 600.0)
    await store.put("n" * 600, b"long", 600.0)
    await store.put("v1:cache:00", b"an answer", 600.0)
    assert await export_state(store, file, PEPPER, clock) == 4
    assert await import_state(other, file, PEPPER, clock) == Imported(4, 0, 0)
    assert await other.get("v1:cache:00") is None
    async for key, kept in records(other):
        before = await store.kept(key)
        assert before is not None
        assert kept.value == before.value
        assert kept.expires_at == (None if before.expires_at is None else pytest.approx(before.expires_at, abs=0.5))
    assert await export_state(other, again, PEPPER, clock) == 4
    for key in ("v1:key:a", "v1:sess:00"):
        await store.delete(key)
    assert await import_state(store, again, PEPPER, clock) == Imported(2, 2, 0)
    assert await store.get("v1:key:a") == b'{"hash":"00"}'
    sessions = await store.kept("v1:sess:00")
    assert sessions is not None
    assert sessions.expires_at == pytest.approx(clock.time() + 600.0, abs=0.5)
