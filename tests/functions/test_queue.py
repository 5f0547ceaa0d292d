from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.clock import FakeClock
from wws.core.queue import message as stored
from wws.core.queue.delivery import ACK, Mark
from wws.core.queue.message import Counts, packed
from wws.errors import QueueFull
from wws.functions.queue import Batch, Queue
from wws.stores.memory_jobs import MemoryJobs


async def test_sending() -> None:
    clock, sent = FakeClock(), []
    jobs = MemoryJobs(clock)
    queue = Queue(jobs, "JOBS", 100, lambda name, count: sent.append((name, count)))
    one = await queue.send({"to": "you"})
    more = await queue.send_batch(["a", b"\x00"], delay=60)
    assert await queue.send_batch([]) == []
    assert len({one, *more}) == 3 and sent == [("JOBS", 1), ("JOBS", 2)]
    assert await jobs.counts("JOBS") == Counts(1, 2, 0)


@pytest.mark.parametrize("delay", [-1.0, 86_401.0, float("nan")])
async def test_a_delay_has_bounds(delay: float) -> None:
    with pytest.raises(ValueError, match="delay is 0 to 86400 seconds"):
        await Queue(MemoryJobs(), "JOBS", 100).send("x", delay)
    with pytest.raises(ValueError, match="delay is 0 to 86400 seconds"):
        Batch("JOBS", [stored.Message("1", packed("x"), 0.0, 0.0)]).retry_all(delay)


async def test_a_batch_is_taken_whole_or_not_at_all() -> None:
    jobs = MemoryJobs()
    with pytest.raises(ValueError, match="JSON"):
        await Queue(jobs, "JOBS", 100).send_batch(["good", object()])
    with pytest.raises(ValueError, match="at most 100 messages, this one is 101"):
        await Queue(jobs, "JOBS", 1000).send_batch(range(101))
    with pytest.raises(QueueFull):
        await Queue(jobs, "JOBS", 1).send_batch(["a", "b"])
    assert await jobs.counts("JOBS") == Counts()


def test_what_a_function_sees_and_says() -> None:
    rows = [stored.Message(name, packed(body), 0.0, 9.0, 2) for name, body in (("1", {"a": 1}), ("2", b"raw"), ("3", "text"))]
    batch = Batch("JOBS", rows)
    assert [one.body for one in batch.messages] == [{"a": 1}, b"raw", "text"]
    first = batch.messages[0]
    assert (first.id, first.attempts, first.timestamp) == ("1", 2, datetime(1970, 1, 1, tzinfo=UTC))
    assert "a" not in repr(first).replace("attempts", "").replace("Message", "")
    batch.retry_all(5)
    first.ack()
    batch.messages[1].retry()
    assert batch.marks == {"1": ACK, "2": Mark("retry"), "3": Mark("retry", 5)}
    batch.ack_all()
    assert set(batch.marks.values()) == {ACK}
