"""The breaker around a store that is somewhere else, with a store that fails when it is told to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from tests.support.clock import FakeClock
from wws.bindings import KeyPage
from wws.errors import StoreError
from wws.stores import guard as module
from wws.stores.guard import FAILURES, FEATURES, Guard, Latency
from wws.stores.memory import MemoryStore


class Flaky(MemoryStore):
    """A store that counts its calls, and fails while `fault` says how."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.fault: str | None = None
        self.calls: list[str] = []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.fault is not None:
            raise StoreError(self.fault)

    async def get(self, key: str) -> bytes | None:
        self._called("get")
        return await super().get(key)

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        self._called("put")
        await super().put(key, value, expiration_ttl, durable=durable)

    async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> KeyPage:
        self._called("list")
        return await super().list(prefix, cursor, limit)

    async def ping(self) -> None:
        self._called("ping")

    async def command(self, *arguments: bytes | str | int | float, key: bytes | str | None = None) -> object:
        self._called("command")
        return arguments


@pytest.fixture
def store(clock: FakeClock) -> Flaky:
    return Flaky(clock)


@pytest.fixture
async def guard(store: Flaky, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guard]:
    monkeypatch.setattr(module, "PROBE", 0.01)
    monkeypatch.setattr(module, "PROBE_AGAIN", 0.01)
    made = Guard(store, "redis://host", Latency(), clock.monotonic)
    yield made
    made.close()


async def until_open(guard: Guard, open: bool) -> None:
    for _ in range(500):
        if bool(guard.degraded) is open:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the state never changed")


async def test_it_passes_everything_on(guard: Guard, store: Flaky) -> None:
    await guard.put("k", "v")
    assert await guard.get("k") == b"v"
    assert (await guard.list()).keys == ["k"]
    assert (await guard.take("k", 5, 60.0, 2)).remaining == 3
    await guard.give("k", 5, 60.0, 2)
    assert (await guard.take("k", 5, 60.0, burst=5)).remaining == 4
    await guard.delete("k")
    assert await guard.get("k") is None
    assert await guard.command("A", 1) == ("A", 1)
    assert await guard.sweep() == 0
    assert guard.degraded == () and guard.errors == {}


async def test_after_some_failures_nobody_asks_any_more(guard: Guard, store: Flaky) -> None:
    store.fault = "gone"
    for _ in range(FAILURES):
        assert guard.degraded == ()
        with pytest.raises(StoreError, match="gone"):
            await guard.get("k")
    assert guard.degraded == FEATURES
    store.calls.clear()
    for call in (guard.get("k"), guard.put("k", "v"), guard.take("k", 5, 60.0), guard.list(), guard.command("A")):
        with pytest.raises(StoreError, match="does not answer"):
            await call
    assert store.calls == []
    assert guard.errors == {"get": FAILURES + 1, "put": 1, "take": 1, "list": 1, "command": 1}


async def test_failures_that_are_not_in_a_row_change_nothing(guard: Guard, store: Flaky) -> None:
    for _ in range(3 * FAILURES):
        store.fault = "gone"
        with pytest.raises(StoreError):
            await guard.get("k")
        store.fault = None
        await guard.get("k")
    assert guard.degraded == () and guard.opened == 0


async def test_it_comes_back_by_a_probe_and_tells_each_change_once(
    guard: Guard, store: Flaky, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wws.store")
    store.fault = "gone"
    for _ in range(20):
        with pytest.raises(StoreError):
            await guard.get("k")
    await asyncio.sleep(0.1)  # some probes fail
    clock.advance(12.0)
    store.fault = None
    await until_open(guard, False)
    assert await guard.get("k") is None
    assert [record.getMessage() for record in caplog.records] == [
        "the store fails: gone. Known sessions and keys are served from memory, limits are counted in this process",
        "the store redis://host answers again, after 12.0 s",
    ]
    assert guard.opened == 1


async def test_a_dead_store_is_noticed_without_any_request(guard: Guard, store: Flaky) -> None:
    await guard.start()
    assert guard.degraded == ()
    store.fault = "gone"
    await until_open(guard, True)
    assert set(store.calls) == {"ping"}


async def test_a_store_that_is_dead_from_the_start_stops_nothing(guard: Guard, store: Flaky) -> None:
    store.fault = "gone"
    await guard.start()
    assert guard.degraded == FEATURES
    store.fault = None
    await until_open(guard, False)


async def test_what_a_command_is_refused_is_no_failure_of_the_store(guard: Guard, store: Flaky) -> None:
    store.fault = "WRONGTYPE"
    for _ in range(3 * FAILURES):
        with pytest.raises(StoreError):
            await guard.command("A")
    assert guard.degraded == ()


def test_latency_is_counted_by_bounds() -> None:
    latency = Latency()
    for seconds in (0.0001, 0.003, 5.0):
        latency.add(seconds)
    assert latency.counts == [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert latency.sum == pytest.approx(5.0031)
