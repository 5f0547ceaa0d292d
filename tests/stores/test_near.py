"""The memory in front of a server: what it spares, and that nobody sees what is no longer so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.redis import RedisServer
from tests.support.slow import SlowProxy
from wws.bindings import SystemClock
from wws.errors import StoreError
from wws.stores import near as module
from wws.stores.guard import Guard, Latency
from wws.stores.near import ANSWERS, PREFIXES, TRACKED, Near
from wws.stores.redis import RedisStore
from wws.stores.redis_address import parse_redis
from wws.stores.state_file import group_of

SESSION, KEY, GONE = "v1:sess:abc", "v1:key:abc", "v1:gone:abc"


class Ticking:
    """A monotonic clock that is the system's, and can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return SystemClock.monotonic() + self.ahead


class Pair:
    """Two gateways' stores on one server, of which the first remembers."""

    def __init__(self, port: int, age: float = 60.0, grace: float = 300.0) -> None:
        self.monotonic = Ticking()
        address = parse_redis(f"redis://127.0.0.1:{port}")
        self.store = RedisStore(
            address, budget=1.0, tracked=TRACKED if age else (), changed=lambda names: self.near.changed(names)
        )
        guard = Guard(self.store, "redis", Latency(), self.monotonic)
        self.near = Near(guard, self.monotonic, lambda: self.store.tracks, age, grace)
        self.other = RedisStore(address, budget=1.0)

    async def heard(self) -> None:
        """Waits until what was written so far has been heard of."""
        await self.other.ping()
        await self.store.ping()
        await asyncio.sleep(0.02)

    async def reads(self, key: str) -> bool:
        """Whether asking for `key` asks the server."""
        misses = self.near.misses
        await self.near.get(key)
        return self.near.misses > misses

    def close(self) -> None:
        self.near.close()
        self.other.close()


@pytest.fixture
async def pair(redis: RedisServer) -> AsyncIterator[Pair]:
    made = Pair(redis.port)
    await made.near.guard.start()
    yield made
    made.close()
    await asyncio.sleep(0)


async def test_what_was_read_is_not_read_again(pair: Pair) -> None:
    await pair.other.put(SESSION, "s", 60.0)
    await pair.other.put(KEY, "k")
    await pair.heard()
    for name, value in ((SESSION, b"s"), (KEY, b"k"), (GONE, None)):
        assert await pair.near.get(name) == value
        assert not await pair.reads(name)
    assert (pair.near.hits, pair.near.misses, len(pair.near)) == (3, 3, 3)


async def test_a_revocation_by_anybody_counts_at_once(pair: Pair) -> None:
    await pair.other.put(SESSION, "s", 60.0)
    await pair.other.put(KEY, "k")
    await pair.heard()
    for name in (SESSION, KEY, GONE):
        await pair.near.get(name)
    before = pair.near.epoch()
    await pair.other.put(GONE, "1", durable=True)
    await pair.other.delete(KEY)
    await pair.other.put(SESSION, "denied", 60.0)
    await pair.heard()
    assert pair.near.epoch() > before
    assert [await pair.near.get(name) for name in (GONE, KEY, SESSION)] == [b"1", None, b"denied"]


async def test_a_key_that_expires_on_the_server_is_gone_here_too(pair: Pair) -> None:
    await pair.other.put(SESSION, "s", 0.2)
    await pair.heard()
    assert await pair.near.get(SESSION) == b"s"
    for _ in range(200):  # the server looks for what has expired ten times a second
        if await pair.near.get(SESSION) is None:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("it never went")


async def test_own_writes_are_seen(pair: Pair) -> None:
    for value in ("a", "b"):
        await pair.near.put(SESSION, value, 60.0)
        assert await pair.near.get(SESSION) == value.encode()
    await pair.near.delete(SESSION)
    assert await pair.near.get(SESSION) is None


async def test_of_what_is_absent_only_tombstones_are_remembered(pair: Pair) -> None:
    for name in (SESSION, KEY):
        assert await pair.reads(name) and await pair.reads(name)
    assert await pair.reads(GONE) and not await pair.reads(GONE)


async def test_other_names_pass_by(pair: Pair) -> None:
    await pair.near.put("ns:A:x", "1")
    assert await pair.near.get("ns:A:x") == b"1"
    await pair.other.put("ns:A:x", "2")
    assert await pair.near.get("ns:A:x") == b"2"
    assert len(pair.near) == 0
    assert (await pair.near.list("ns:")).keys == ["ns:A:x"]
    assert (await pair.near.take("k", 5, 60.0)).allowed
    await pair.near.give("k", 5, 60.0)
    assert await pair.near.command("PING") == b"PONG"
    assert await pair.near.sweep() == 0


async def test_a_change_while_it_is_read_is_not_kept(pair: Pair) -> None:
    """The reply and the notice of a change may come in one piece, before whoever asked has gone on."""
    await pair.other.put(SESSION, "old", 60.0)
    await pair.heard()
    reading = asyncio.ensure_future(pair.near.get(SESSION))
    await asyncio.sleep(0)
    pair.near.changed([SESSION])
    assert await reading == b"old"
    assert len(pair.near) == 0
    assert await pair.reads(SESSION) and not await pair.reads(SESSION)


async def test_no_entry_is_older_than_its_age(pair: Pair) -> None:
    await pair.near.put(KEY, "k")
    await pair.near.get(KEY)
    pair.monotonic.ahead = 59.0
    assert not await pair.reads(KEY)
    pair.monotonic.ahead = 61.0
    assert await pair.reads(KEY)


async def test_the_memory_is_bounded(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 10)
    for n in range(30):
        await pair.near.get(f"{GONE}{n}")
    assert len(pair.near) == 10
    assert not await pair.reads(f"{GONE}29") and await pair.reads(f"{GONE}0")
    await pair.near.put(KEY, "v" * 5000)
    assert await pair.reads(KEY) and await pair.reads(KEY), "large values are not remembered"


async def test_an_age_of_nothing_remembers_nothing_while_the_store_answers(redis: RedisServer) -> None:
    pair = Pair(redis.port, age=0.0)
    await pair.near.put(KEY, "k")
    assert await pair.reads(KEY) and await pair.reads(KEY)
    assert pair.near.epoch() != pair.near.epoch()
    pair.close()
    await asyncio.sleep(0)


async def test_when_the_way_is_lost_all_is_read_anew(redis: RedisServer) -> None:
    with SlowProxy(redis.port) as proxy:
        pair = Pair(proxy.port)
        other = RedisStore(parse_redis(redis.address), budget=1.0)
        await other.put(KEY, "old")
        assert await pair.near.get(KEY) == b"old" and not await pair.reads(KEY)
        before = pair.near.epoch()
        proxy.cut()
        await other.put(KEY, "new")  # unheard of
        for _ in range(500):
            if pair.near.epoch() != before:
                break
            await asyncio.sleep(0.01)
        for _ in range(500):
            if await pair.near.get(KEY) == b"new":
                break
            await asyncio.sleep(0.01)
        assert await pair.near.get(KEY) == b"new"
        pair.close()
        other.close()
        await asyncio.sleep(0)


async def test_what_is_known_serves_while_the_store_is_gone_and_not_for_ever() -> None:
    with RedisServer() as server:
        pair = Pair(server.port, grace=100.0)
        await pair.near.put(KEY, "k")
        assert await pair.near.get(KEY) == b"k"
        await pair.near.get(GONE)
        server.stop()
        with pytest.raises(StoreError):
            await pair.near.get("v1:key:unknown")
        await asyncio.sleep(0.05)  # a turn of the loop, in which the loss is told of
        for name, value in ((KEY, b"k"), (GONE, None)):
            assert await pair.near.get(name) == value
        assert pair.near.graced >= 2
        pair.monotonic.ahead = 99.0
        assert await pair.near.get(KEY) == b"k"
        pair.monotonic.ahead = 101.0
        with pytest.raises(StoreError):
            await pair.near.get(KEY)
        pair.close()
        await asyncio.sleep(0)


async def test_a_server_that_does_not_tell_of_changes_is_read_every_time(redis: RedisServer) -> None:
    redis.call("ACL", "SETUSER", "deaf", "on", ">planted", "~*", "&*", "+@all", "-client|tracking")
    try:
        address = parse_redis(f"redis://deaf:planted@127.0.0.1:{redis.port}")
        store = RedisStore(address, budget=1.0, tracked=PREFIXES)
        near = Near(Guard(store, "redis", Latency(), SystemClock.monotonic), SystemClock.monotonic, lambda: store.tracks)
        await near.put(KEY, "k")
        assert [await near.get(KEY) for _ in range(3)] == [b"k"] * 3
        assert (near.hits, near.misses) == (0, 3)
        near.close()
        await asyncio.sleep(0)
    finally:
        redis.call("ACL", "DELUSER", "deaf")


async def test_what_gateways_tell_each_other(pair: Pair) -> None:
    told: list[str] = []
    pair.near.told = told.append
    epoch = pair.near.epoch()
    await pair.other.put(ANSWERS + '[["a","é"]]', b"", 60)
    await pair.heard()
    assert (told, pair.near.epoch()) == (['[["a","é"]]'], epoch)
    await pair.near.tell("own")
    await pair.heard()
    assert set(told[1:]) == {"own"}, "who tells hears it too"


def test_what_is_told_is_no_revocation() -> None:
    assert group_of(ANSWERS) == "other" and not ANSWERS.startswith(PREFIXES)


async def test_what_cannot_be_told_is_no_error(redis: RedisServer) -> None:
    pair = Pair(redis.port)
    await pair.near.guard.start()
    redis.stop()
    try:
        await pair.near.tell("nobody hears it")
        assert pair.near.told is None
    finally:
        redis.start()
        pair.close()
