from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.support.clock import FakeClock
from wws.core.queue.delivery import Settlement, Terms
from wws.core.queue.message import Counts, Message
from wws.errors import StoreError
from wws.hosts.server.consumers import Consumers, Receiver
from wws.stores.memory_jobs import MemoryJobs

RECEIVER = Receiver("q", "jobs/work", Terms(max_batch=2, max_retries=1, retry_delay=0.0))


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.jobs = MemoryJobs(self.clock)
        self.batches: list[list[bytes]] = []
        self.says: Callable[[Message], Settlement] = lambda message: Settlement(message, "ack")
        self.gate = asyncio.Event()
        self.gate.set()
        self.consumers = Consumers(self.jobs, self.deliver)

    async def deliver(self, receiver: Receiver, messages: list[Message]) -> list[Settlement]:
        self.batches.append([message.body for message in messages])
        await self.gate.wait()
        return [self.says(message) for message in messages]

    async def send(self, *bodies: bytes, queue: str = "q") -> None:
        await self.jobs.send(queue, bodies)
        self.consumers.sent(queue)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.consumers.use({"q": RECEIVER})
    yield made
    await made.consumers.drain(0.0)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - it is others who are waited for
            await asyncio.sleep(0)


async def test_messages_are_delivered_in_batches_and_gone(world: World) -> None:
    await world.send(b"1", b"2", b"3")
    await until(lambda: len(world.batches) == 2)
    assert world.batches == [[b"1", b"2"], [b"3"]]
    await world.send(b"4")
    await until(lambda: len(world.batches) == 3)
    await world.consumers.drain(1.0)
    assert await world.jobs.counts("q") == Counts()


async def test_a_message_that_fails_ends_as_a_dead_letter(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.says = lambda message: Settlement(message, "dead" if message.attempts > 1 else "retry", 0.0, "ValueError: no")
    await world.send(b"x")
    await until(lambda: len(world.batches) == 2)
    await world.consumers.drain(1.0)
    assert await world.jobs.counts("q") == Counts(0, 0, 1)
    assert [letter.reason for letter in await world.jobs.peek("q", dead=True)] == ["ValueError: no"]
    assert "is a dead letter after 2 deliveries: ValueError: no" in caplog.text


async def test_dead_letters_go_to_the_queue_that_takes_them(world: World) -> None:
    world.consumers.use({
        "q": Receiver("q", "jobs/work", RECEIVER.terms, "graves"),
        "graves": Receiver("graves", None, Terms(max_messages=1)),
    })  # fmt: skip
    world.says = lambda message: Settlement(message, "dead", reason="no")
    await world.send(b"x")
    await until(lambda: len(world.batches) == 1)
    await world.send(b"y")
    await until(lambda: len(world.batches) == 2)
    await world.consumers.drain(1.0)
    assert [message.body for message in await world.jobs.peek("graves")] == [b"x"]
    assert [message.body for message in await world.jobs.peek("q", dead=True)] == [b"y"], "where there is no room it stays"


async def test_what_never_was_settled_is_not_delivered_for_ever(world: World) -> None:
    world.gate.clear()
    await world.jobs.send("q", [b"poison"])
    for _ in range(2):
        await world.jobs.lease("q", 1, 60.0)  # by a process that then died
        world.clock.advance(61.0)
    world.consumers.sent("q")
    async with asyncio.timeout(5):
        while (await world.jobs.counts("q")).dead != 1:  # noqa: ASYNC110 - it is others who are waited for
            await asyncio.sleep(0)
    assert world.batches == []


async def test_draining_waits_for_a_batch_and_takes_no_more(world: World) -> None:
    world.gate.clear()
    await world.send(b"1", b"2", b"3")
    await until(lambda: len(world.batches) == 1)
    draining = asyncio.ensure_future(world.consumers.drain(5.0))
    await asyncio.sleep(0)
    world.gate.set()
    await draining
    assert await world.jobs.counts("q") == Counts(1, 0, 0)


async def test_a_batch_that_is_cut_off_comes_back(world: World) -> None:
    world.gate.clear()
    await world.send(b"1")
    await until(lambda: len(world.batches) == 1)
    await world.consumers.drain(0.0)
    assert await world.jobs.counts("q") == Counts(0, 1, 0)
    world.clock.advance(61.0)
    assert await world.jobs.counts("q") == Counts(1, 0, 0)


async def test_a_queue_that_is_no_longer_there_is_left_alone(world: World) -> None:
    world.consumers.use({})
    await asyncio.sleep(0.01)
    await world.send(b"1")
    await asyncio.sleep(0.01)
    assert world.batches == []
    world.consumers.use({"q": RECEIVER})
    await until(lambda: len(world.batches) == 1)


async def test_a_lease_that_was_lost_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.gate.clear()
    await world.send(b"1")
    await until(lambda: len(world.batches) == 1)
    world.clock.advance(61.0)
    await world.jobs.lease("q", 1, 60.0)
    world.gate.set()
    await world.consumers.drain(1.0)
    assert "1 of 1 messages had been delivered anew before function jobs/work ended" in caplog.text


async def test_a_store_that_fails_is_told_once_and_asked_again(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wws.hosts.server.consumers._PAUSES", (0.001,))
    real, failures = world.jobs.lease, 3

    async def lease(queue: str, most: int, visibility: float, patience: float = 0.0) -> tuple[list[Message], float]:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreError("gone")
        return await real(queue, most, visibility, patience)

    world.jobs.lease = lease  # type: ignore[method-assign]
    caplog.set_level("INFO", "wws.queue")
    await world.send(b"1")
    await until(lambda: len(world.batches) == 1)
    await world.consumers.drain(1.0)
    assert [record.message for record in caplog.records] == [
        "queue q waits for the store: gone",
        "queue q: the store works again",
    ]


async def test_counting(world: World) -> None:
    world.gate.clear()
    await world.send(b"1", b"2", b"3")
    await until(lambda: len(world.batches) == 1)
    await world.consumers.count()
    assert world.consumers.counts == {"q": Counts(1, 2, 0)}
