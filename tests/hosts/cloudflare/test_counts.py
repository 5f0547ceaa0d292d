"""The counter of Durable Objects: the contract that every counter keeps, over the objects' own code and SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from blockbuster import BlockBuster

from tests.stores.contract import CounterContract
from tests.support.clock import FakeClock
from tests.support.web import DurableStorage, JsException, PlainWeb
from wws.errors import StoreError
from wws.hosts.cloudflare.counts import SWEEP, Counts, DurableCounter, object_name


class Objects:
    """A namespace of Durable Objects; `evict` ends them all, as the platform does, and leaves their storage."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._running: dict[str, Counts] = {}
        self.storages: dict[str, DurableStorage] = {}
        self.fails = False

    def idFromName(self, name: str) -> str:
        return name

    def get(self, name: str) -> Any:
        return SimpleNamespace(count=lambda call: self._count(name, call))

    async def _count(self, name: str, call: str) -> str:
        if self.fails:
            raise JsException("Network connection lost.")
        return self.running(name).count(call)

    def running(self, name: str) -> Counts:
        if name not in self._running:
            storage = self.storages.setdefault(name, DurableStorage())
            self._running[name] = Counts(PlainWeb(), storage, self._clock.time)
        return self._running[name]

    def evict(self) -> None:
        self._running.clear()


@pytest.fixture(autouse=True)
def _storage_of_an_object(_no_blocking_calls: BlockBuster) -> None:
    """An object's storage answers at once on the platform, and from memory here."""
    for call in ("execute", "fetchall"):
        _no_blocking_calls.functions[f"sqlite3.{'Connection' if call == 'execute' else 'Cursor'}.{call}"].deactivate()


@pytest.fixture
def objects(clock: FakeClock) -> Iterator[Objects]:
    made = Objects(clock)
    yield made
    for storage in made.storages.values():
        storage.close()


@pytest.fixture
def store(objects: Objects) -> DurableCounter:
    web = PlainWeb()
    web.ffi.JsException = JsException
    return DurableCounter(web, objects)


class TestCounter(CounterContract):
    """See the contract."""


def test_one_object_for_each_subject() -> None:
    assert object_name("v1:rate:u.ada:/api/:id") == "u.ada"
    assert object_name("v1:rate:a.10.0.0.1:address") == "a.10.0.0.1"
    assert object_name("v1:rate:a.20010db800000000:address") == "a.20010db800000000"
    assert object_name("mine:own:key:of:mine") == "mine:own:key:of:mine"


async def test_counts_outlive_the_object(store: DurableCounter, objects: Objects) -> None:
    for _ in range(5):
        assert (await store.take("v1:rate:u.ada:/chat", 5, 60.0)).allowed
    objects.evict()
    assert not (await store.take("v1:rate:u.ada:/chat", 5, 60.0)).allowed
    assert (await store.take("v1:rate:u.ada:/other", 5, 60.0)).remaining == 4
    assert list(objects.storages) == ["u.ada"]


async def test_what_may_be_forgotten_is(store: DurableCounter, objects: Objects, clock: FakeClock) -> None:
    await store.take("v1:rate:u.ada:/chat", 5, 60.0)
    await store.take("v1:rate:u.ada:/slow", 5, 3600.0)
    storage = objects.storages["u.ada"]
    assert storage.alarm is not None
    clock.advance(storage.alarm - clock.time())
    assert clock.time() > SWEEP
    objects.evict()  # an alarm wakes an object that was ended, too
    objects.running("u.ada").sweep()
    assert [row.key for row in storage.exec("SELECT key FROM counts")] == ["v1:rate:u.ada:/slow"]
    assert storage.alarm > clock.time()
    clock.advance(7200.0)
    objects.running("u.ada").sweep()
    assert storage.exec("SELECT key FROM counts") == []


async def test_an_object_that_cannot_be_reached_is_a_store_error(store: DurableCounter, objects: Objects) -> None:
    objects.fails = True
    with pytest.raises(StoreError, match="Network connection lost"):
        await store.take("v1:rate:u.ada:/chat", 5, 60.0)
