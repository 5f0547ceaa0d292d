"""Values and counts on a stand-in for Deno KV; the scenarios run them on Deno KV itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import pytest

from tests.hosts.deno.database import FakeDatabase
from tests.hosts.deno.platform import Platform
from tests.support.clock import FakeClock
from wws.hosts.deno.counter import DenoCounter
from wws.hosts.deno.kv import DenoKV


class DenoStore:
    """Both in one, as the contract suite asks them."""

    def __init__(self, database: FakeDatabase, clock: FakeClock) -> None:
        self._kv = DenoKV(database, clock.time)
        self._counter = DenoCounter(database, clock.time)
        self.get, self.put, self.delete, self.list = self._kv.get, self._kv.put, self._kv.delete, self._kv.list
        self.take, self.give = self._counter.take, self._counter.give

    async def sweep(self, max_entries: int = 1000) -> int:
        return 0  # Deno does it

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def database() -> FakeDatabase:
    return FakeDatabase()


@pytest.fixture
def store(database: FakeDatabase, clock: FakeClock) -> DenoStore:
    return DenoStore(database, clock)


@pytest.fixture
def platform() -> Iterator[Platform]:
    """The loop of everything, as long as a test runs."""
    hooks = sys.get_asyncgen_hooks()
    platform = Platform()
    platform.loop.begin()
    yield platform
    platform.loop._begun = False
    asyncio._set_running_loop(None)
    asyncio.set_event_loop(None)
    sys.set_asyncgen_hooks(*hooks)
    platform.loop.close()
