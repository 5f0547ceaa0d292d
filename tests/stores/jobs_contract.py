"""What every store of claims and queues promises, written once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.clock import FakeClock
from wws.bindings import Claims, Queues
from wws.core.queue.delivery import NEVER, Action, Settlement
from wws.core.queue.message import Counts, Message
from wws.errors import QueueFull
from wws.stores.lmdb_jobs import LmdbJobs
from wws.stores.memory_jobs import MemoryJobs

__all__ = ["JOBS", "ClaimsContract", "Jobs", "QueuesContract"]


class Jobs(Claims, Queues, Protocol):
    """Both in one."""

    def close(self) -> None: ...


JOBS: Mapping[str, Callable[[Path, FakeClock], Jobs]] = {
    "memory": lambda path, clock: MemoryJobs(clock),
    "lmdb": lambda path, clock: LmdbJobs(path / "state", clock),
}


async def one(jobs: Jobs, visibility: float = 30.0) -> Message:
    """The next message, which must be there."""
    messages, _ = await jobs.lease("q", 1, visibility)
    assert len(messages) == 1
    return messages[0]


class ClaimsContract:
    async def test_one_of_many_gets_it(self, jobs: Jobs) -> None:
        assert sum(await asyncio.gather(*[jobs.claim("tick", 60.0) for _ in range(50)])) == 1

    async def test_it_is_held_until_it_is_released(self, jobs: Jobs) -> None:
        assert await jobs.claim("a", 60.0)
        assert await jobs.claim("b", 60.0), "names are apart"
        assert not await jobs.claim("a", 60.0)
        await jobs.release("a")
        assert await jobs.claim("a", 60.0)
        assert not await jobs.claim("b", 60.0)

    async def test_or_until_its_time_is_over(self, jobs: Jobs, clock: FakeClock) -> None:
        assert await jobs.claim("a", 60.0)
        clock.advance(59.0)
        assert not await jobs.claim("a", 60.0), "asking does not prolong it"
        clock.advance(1.5)
        assert await jobs.claim("a", 60.0)

    async def test_releasing_what_nobody_holds(self, jobs: Jobs) -> None:
        await jobs.release("nothing")

    async def test_many_names_and_long_ones(self, jobs: Jobs, clock: FakeClock) -> None:
        for number in range(100):
            assert await jobs.claim(f"{number}" * 300, 1.0)
            clock.advance(1.5)
        assert await jobs.claim("7" * 300, 60.0)
        assert not await jobs.claim("7" * 300, 60.0)


class QueuesContract:
    async def test_what_is_sent_is_delivered_in_order(self, jobs: Jobs, clock: FakeClock) -> None:
        ids = await jobs.send("q", [b"one", b"two"])
        clock.advance(1.0)
        ids += await jobs.send("q", [b"three"])
        messages, wait = await jobs.lease("q", 10, 30.0)
        assert [message.body for message in messages] == [b"one", b"two", b"three"]
        assert [message.id for message in messages] == ids and len(set(ids)) == 3
        assert {message.attempts for message in messages} == {1}
        assert messages[0].sent == pytest.approx(clock.time() - 1.0, abs=0.01)
        assert wait == 0.0

    async def test_an_empty_queue_says_so(self, jobs: Jobs) -> None:
        assert await jobs.lease("q", 10, 30.0) == ([], NEVER)
        assert await jobs.counts("q") == Counts()
        assert await jobs.peek("q") == [] and await jobs.peek("q", dead=True) == []

    async def test_queues_are_apart(self, jobs: Jobs) -> None:
        await jobs.send("q", [b"mine"])
        await jobs.send("q2", [b"yours"])
        assert (await one(jobs)).body == b"mine"
        assert (await jobs.counts("q2")).ready == 1

    async def test_a_message_is_leased_to_one(self, jobs: Jobs) -> None:
        await jobs.send("q", [b"%d" % number for number in range(40)])
        leases = await asyncio.gather(*[jobs.lease("q", 3, 30.0) for _ in range(20)])
        taken = [message.id for messages, _ in leases for message in messages]
        assert len(taken) == len(set(taken)) == 40

    async def test_an_acknowledged_message_is_gone(self, jobs: Jobs, clock: FakeClock) -> None:
        await jobs.send("q", [b"x"])
        assert await jobs.settle("q", [Settlement(await one(jobs), "ack")]) == 1
        clock.advance(100.0)
        assert await jobs.lease("q", 10, 30.0) == ([], NEVER)
        assert await jobs.counts("q") == Counts()

    async def test_a_lease_that_ends_brings_the_message_back(self, jobs: Jobs, clock: FakeClock) -> None:
        await jobs.send("q", [b"x"])
        first = await one(jobs, visibility=30.0)
        messages, wait = await jobs.lease("q", 10, 30.0)
        assert messages == [] and wait == pytest.approx(30.0, abs=0.01)
        clock.advance(30.5)
        again = await one(jobs)
        assert (again.id, again.body, again.attempts) == (first.id, b"x", 2)
        assert again.receipt != first.receipt

    async def test_who_lost_the_lease_is_not_heard(self, jobs: Jobs, clock: FakeClock) -> None:
        await jobs.send("q", [b"x"])
        late = await one(jobs)
        clock.advance(31.0)
        now = await one(jobs)
        actions: tuple[Action, ...] = ("ack", "retry", "dead")
        for action in actions:
            assert await jobs.settle("q", [Settlement(late, action)]) == 0
        assert await jobs.settle("q", [Settlement(now, "ack")]) == 1
        assert await jobs.settle("q", [Settlement(now, "ack")]) == 0, "once"

    async def test_a_retry_is_due_after_its_delay(self, jobs: Jobs, clock: FakeClock) -> None:
        await jobs.send("q", [b"x"])
        await jobs.settle("q", [Settlement(await one(jobs), "retry", 5.0)])
        messages, wait = await jobs.lease("q", 1, 30.0)
        assert messages == [] and wait == pytest.approx(5.0, abs=0.01)
        assert await jobs.counts("q") == Counts(0, 1, 0)
        clock.advance(5.1)
        assert (await one(jobs)).attempts == 2

    async def test_a_delayed_message_is_due_later(self, jobs: Jobs, clock: FakeClock) -> None:
        await jobs.send("q", [b"later"], 60.0)
        await jobs.send("q", [b"now"])
        assert await jobs.counts("q") == Counts(1, 1, 0)
        assert (await one(jobs)).body == b"now"
        clock.advance(60.5)
        assert sorted([message.body for message in (await jobs.lease("q", 10, 30.0))[0]]) == [b"later", b"now"]

    async def test_a_batch_waits_to_be_full(self, jobs: Jobs, clock: FakeClock) -> None:
        await jobs.send("q", [b"1", b"2"])
        messages, wait = await jobs.lease("q", 3, 30.0, 5.0)
        assert messages == [] and wait == pytest.approx(5.0, abs=0.01)
        await jobs.send("q", [b"3", b"4"])
        messages, _ = await jobs.lease("q", 3, 30.0, 5.0)
        assert [message.body for message in messages] == [b"1", b"2", b"3"]
        assert (await jobs.lease("q", 3, 30.0, 5.0))[0] == []
        clock.advance(5.1)
        assert [message.body for message in (await jobs.lease("q", 3, 30.0, 5.0))[0]] == [b"4"]

    async def test_dead_letters_are_kept_and_can_be_driven_again(self, jobs: Jobs, clock: FakeClock) -> None:
        await jobs.send("q", [b"a", b"b"])
        for reason in ("first", "second: \N{SNOWMAN}"):
            await jobs.settle("q", [Settlement(await one(jobs), "dead", reason=reason)])
            clock.advance(1.0)
        assert await jobs.counts("q") == Counts(0, 0, 2)
        letters = await jobs.peek("q", dead=True)
        assert [(letter.body, letter.reason, letter.attempts) for letter in letters] == [
            (b"a", "first", 1),
            (b"b", "second: \N{SNOWMAN}", 1),
        ]
        assert await jobs.redrive("q", 1) == 1
        again = await one(jobs)
        assert (again.body, again.attempts, again.reason) == (b"a", 1, "")
        assert await jobs.counts("q") == Counts(0, 1, 1)

    async def test_peeking_leaves_messages_as_they_are(self, jobs: Jobs) -> None:
        await jobs.send("q", [b"a", b"b", b"c"])
        assert [message.body for message in await jobs.peek("q", 2)] == [b"a", b"b"]
        assert await jobs.counts("q") == Counts(3, 0, 0)
        assert (await one(jobs)).attempts == 1

    async def test_purging(self, jobs: Jobs) -> None:
        await jobs.send("q", [b"a", b"b", b"c"])
        await jobs.settle("q", [Settlement(await one(jobs), "dead", reason="r")])
        held = await one(jobs)
        assert await jobs.purge("q") == 2
        assert await jobs.settle("q", [Settlement(held, "ack")]) == 0
        assert await jobs.counts("q") == Counts(0, 0, 1)
        assert await jobs.purge("q", dead=True) == 1
        assert await jobs.counts("q") == Counts()
        assert await jobs.lease("q", 10, 30.0) == ([], NEVER)

    async def test_a_full_queue_takes_nothing_and_loses_nothing(self, jobs: Jobs) -> None:
        await jobs.send("q", [b"a", b"b"], most=3)
        await jobs.settle("q", [Settlement(await one(jobs), "dead", reason="counts too")])
        with pytest.raises(QueueFull, match=r"queue q holds its most of 3 messages"):
            await jobs.send("q", [b"c", b"d"], most=3)
        assert await jobs.counts("q") == Counts(1, 0, 1)
        await jobs.send("q", [b"c"], most=3)

    async def test_bodies_of_any_bytes(self, jobs: Jobs) -> None:
        bodies = [b"", bytes(range(256)), b"x" * 128 * 1024]
        await jobs.send("q", bodies)
        assert [message.body for message in (await jobs.lease("q", 10, 30.0))[0]] == bodies
