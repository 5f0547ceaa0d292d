"""When API keys were last used."""

from __future__ import annotations

import pytest

from tests.observe.seen import add, call
from tests.support.clock import FakeClock
from wws.core.auth.apikey import used_key
from wws.core.auth.user import User
from wws.errors import StoreError
from wws.observe.key_use import EVERY, KeyUse
from wws.observe.tally import Tally
from wws.stores.memory import MemoryStore


class Store(MemoryStore):
    """Counts what is written, and fails while it is told to."""

    writes = 0
    failing = False

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        if self.failing:
            raise StoreError("gone")
        self.writes += 1
        await super().put(key, value, expiration_ttl, durable=durable)


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.tally = Tally()
        self.store = Store(self.clock)
        self.use = KeyUse(self.tally, self.clock.time)

    async def used(self, *keys: str) -> None:
        """One request with each key, and a round."""
        for key in keys:
            add(self.tally, call(user=User(f"key:{key}", source="key", key_id=key)))
        self.tally.drain()
        await self.use.write(self.store)

    async def at(self, key: str) -> float | None:
        data = await self.store.get(used_key(key))
        return None if data is None else float(data)


async def test_the_time_is_written_once_in_ten_minutes() -> None:
    world = World()
    begun = world.clock.time()
    for _ in range(int(EVERY / 5)):
        await world.used("a")
        world.clock.advance(5.0)
    assert (world.store.writes, await world.at("a")) == (1, begun)
    await world.used("a")
    assert (world.store.writes, await world.at("a")) == (2, begun + EVERY)


async def test_each_key_by_itself_and_sessions_not_at_all() -> None:
    world = World()
    add(world.tally, call(user=User("somebody")))
    await world.used("a", "b")
    assert world.store.writes == 2
    assert await world.at("c") is None


async def test_what_could_not_be_written_is_written_later() -> None:
    world = World()
    world.store.failing = True
    with pytest.raises(StoreError):
        await world.used("a", "b")
    world.store.failing = False
    await world.used()
    assert await world.at("a") is not None and await world.at("b") is not None
