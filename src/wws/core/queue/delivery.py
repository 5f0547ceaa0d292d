"""When a batch is full enough to be delivered, and what becomes of its messages afterwards.

A message is delivered at least once. Being delivered gives it a lease: it is due again when the lease ends, unless it has been
settled by then. So a message whose worker was killed comes back by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from wws.core.queue.message import Message

__all__ = ["ACK", "Action", "Gathered", "Mark", "Settlement", "Terms", "gather", "overdue", "retry_after", "settlements"]

NEVER: Final = float("inf")
MAX_RETRY: Final = 3600.0
"""Seconds between two deliveries of one message at most, however often it has failed."""

Action = Literal["ack", "retry", "dead"]


@dataclass(frozen=True, slots=True)
class Terms:
    """How one queue is delivered, see `[[queues]]`. Times in seconds."""

    max_batch: int = 10
    max_wait: float = 0.0
    max_retries: int = 3
    retry_delay: float = 1.0
    visibility: float = 60.0
    max_messages: int = 100_000


class Gathered(NamedTuple):
    """How many of the first messages to deliver now; when none, the seconds after which to look again."""

    ready: int
    wait: float


class Mark(NamedTuple):
    """What a function said of a message. `delay` None: as the queue has it."""

    action: Literal["ack", "retry"]
    delay: float | None = None


ACK: Final = Mark("ack")


class Settlement(NamedTuple):
    """What is to be done with a delivered message: removed, due again after `delay` seconds, or kept as a dead letter."""

    message: Message
    action: Action
    delay: float = 0.0
    reason: str = ""


def gather(dues: Sequence[float], now: float, most: int, patience: float) -> Gathered:
    """What to deliver of messages due at `dues`, the earliest first (at most `most` of them are looked at).

    Fewer than `most` wait until the first of them has been due for `patience` seconds.
    """
    if not dues:
        return Gathered(0, NEVER)
    if dues[0] > now:
        return Gathered(0, dues[0] - now)
    ready = sum([due <= now for due in dues[:most]])
    held = dues[0] + patience - now
    if ready < most and held > 0:
        return Gathered(0, held)
    return Gathered(ready, 0.0)


def retry_after(attempts: int, base: float) -> float:
    """Seconds until the next delivery of a message that has been delivered `attempts` times: doubling from `base`."""
    return min(base * 2.0 ** min(max(attempts, 1) - 1, 32), MAX_RETRY)


def overdue(messages: Iterable[Message], terms: Terms) -> tuple[list[Message], list[Settlement]]:
    """Those still to be delivered, and those that have had their last delivery without ever being settled.

    The function that was given them has ended its worker, or never come to an end, each time.
    """
    alive: list[Message] = []
    dead: list[Settlement] = []
    for message in messages:
        if message.attempts > terms.max_retries + 1:
            dead.append(Settlement(message, "dead", reason="never settled: its worker ended, or its time did, at every delivery"))
        else:
            alive.append(message)
    return alive, dead


def settlements(messages: Iterable[Message], marks: Mapping[str, Mark], error: str | None, terms: Terms) -> list[Settlement]:
    """What becomes of a batch. `error` is why the function failed, None when it returned.

    What the function said of a message counts, however it ended; of what it said nothing about, a return means `ack` and a
    failure `retry` (developers.cloudflare.com/queues/configuration/batching-retries has the same rules).
    """
    silent = ACK if error is None else Mark("retry")
    return [_settlement(message, marks.get(message.id, silent), error, terms) for message in messages]


def _settlement(message: Message, mark: Mark, error: str | None, terms: Terms) -> Settlement:
    if mark.action == "ack":
        return Settlement(message, "ack")
    reason = error or "the function asked for another delivery"
    if message.attempts > terms.max_retries:
        return Settlement(message, "dead", reason=reason)
    delay = retry_after(message.attempts, terms.retry_delay) if mark.delay is None else mark.delay
    return Settlement(message, "retry", delay, reason)
