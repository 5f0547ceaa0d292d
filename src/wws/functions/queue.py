"""Queues as functions see them: `env.NAME` to send, `batch` in `async def queue(batch, env, ctx)` to receive.

The shape is that of Cloudflare Queues (developers.cloudflare.com/queues/configuration/javascript-apis), in Python's spelling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from wws.bindings import Queues
from wws.core.queue import message as stored
from wws.core.queue.delivery import ACK, Mark
from wws.core.queue.message import MAX_DELAY, packed, unpacked

__all__ = ["MAX_SENT", "Batch", "Message", "Queue"]

MAX_SENT = 100
"""Messages that one `send_batch` takes, as Cloudflare has it."""


class Queue:
    """A queue to send to."""

    __slots__ = ("_most", "_queues", "_sent", "name")

    def __init__(self, queues: Queues, name: str, most: int, sent: Callable[[str, int], None] = lambda name, count: None) -> None:
        self._queues = queues
        self.name = name
        self._most = most
        self._sent = sent

    async def send(self, body: object, delay: float = 0.0) -> str:
        """Takes a message, a JSON value or bytes, for delivery `delay` seconds from now at the earliest: its id.

        When this returns the message is kept until it is settled. Raises `ValueError` for a body or delay that is not taken,
        `QueueFull`, and `StoreError` when it is not sure that the message is kept.
        """
        return (await self.send_batch([body], delay))[0]

    async def send_batch(self, bodies: Iterable[object], delay: float = 0.0) -> list[str]:
        """`send` for up to 100 bodies, all of them or none."""
        if not 0.0 <= delay <= MAX_DELAY:
            raise ValueError(f"delay is 0 to {MAX_DELAY:.0f} seconds, not {delay!r}")
        data = [packed(body) for body in bodies]
        if len(data) > MAX_SENT:
            raise ValueError(f"a batch is at most {MAX_SENT} messages, this one is {len(data)}")
        if not data:
            return []
        ids = await self._queues.send(self.name, data, delay, self._most)
        self._sent(self.name, len(ids))
        return ids


class Message:
    """One message of a batch. What is said last counts."""

    __slots__ = ("_marks", "attempts", "body", "id", "timestamp")

    def __init__(self, message: stored.Message, marks: dict[str, Mark]) -> None:
        self.id = message.id
        self.body: Any = unpacked(message.body)
        self.attempts = message.attempts
        self.timestamp = datetime.fromtimestamp(message.sent, UTC)
        self._marks = marks

    def ack(self) -> None:
        """It is done, whatever becomes of the others."""
        self._marks[self.id] = ACK

    def retry(self, delay: float | None = None) -> None:
        """It is to be delivered again, `delay` seconds from now, or as the queue has it. Raises `ValueError`."""
        if delay is not None and not 0.0 <= delay <= MAX_DELAY:
            raise ValueError(f"delay is 0 to {MAX_DELAY:.0f} seconds, not {delay!r}")
        self._marks[self.id] = Mark("retry", delay)

    def __repr__(self) -> str:
        return f"<Message {self.id} attempts={self.attempts}>"  # the body may be private


class Batch:
    """What is delivered at once. `queue` is its binding's name; `marks` what was said, by message id."""

    __slots__ = ("marks", "messages", "queue")

    def __init__(self, queue: str, messages: Sequence[stored.Message]) -> None:
        self.queue = queue
        self.marks: dict[str, Mark] = {}
        self.messages = [Message(message, self.marks) for message in messages]

    def ack_all(self) -> None:
        """All of them are done."""
        for message in self.messages:
            message.ack()

    def retry_all(self, delay: float | None = None) -> None:
        """All of them are to be delivered again."""
        for message in self.messages:
            message.retry(delay)

    def __repr__(self) -> str:
        return f"<Batch {self.queue} of {len(self.messages)}>"
