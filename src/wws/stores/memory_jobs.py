"""Claims and queues in the process's memory: gone when it ends. Every operation is one step of the event loop."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from wws.bindings import Clock, SystemClock
from wws.core.queue.delivery import Settlement, gather
from wws.core.queue.message import Counts, Message
from wws.errors import QueueFull

__all__ = ["MemoryJobs"]


class _Queue:
    """`order` is every live message by the time it is due; `dead` the letters by the time they died."""

    def __init__(self) -> None:
        self.order: list[tuple[float, str]] = []
        self.live: dict[str, Message] = {}
        self.dead: dict[str, Message] = {}

    def put(self, message: Message) -> None:
        """A new message, or another state of one there is."""
        self.take(message.id)
        self.live[message.id] = message
        insort(self.order, (message.due, message.id))

    def take(self, name: str) -> None:
        """Removes a live message, if it is one."""
        known = self.live.pop(name, None)
        if known is not None:
            del self.order[bisect_left(self.order, (known.due, name))]


class MemoryJobs:
    """Claims and Queues of one process."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._time = (clock or SystemClock()).time
        self._claims: dict[str, float] = {}
        self._queues: dict[str, _Queue] = {}
        self._numbers = count(1)

    async def claim(self, name: str, ttl: float) -> bool:
        """See `Claims`."""
        now = self._time()
        if self._claims.get(name, 0.0) > now:
            return False
        self._claims = {held: until for held, until in self._claims.items() if until > now}
        self._claims[name] = now + ttl
        return True

    async def release(self, name: str) -> None:
        """See `Claims`."""
        self._claims.pop(name, None)

    async def send(self, queue: str, bodies: Sequence[bytes], delay: float = 0.0, most: int = 100_000) -> list[str]:
        """See `Queues`."""
        found, now = self._queue(queue), self._time()
        if len(found.live) + len(found.dead) + len(bodies) > most:
            raise QueueFull(queue, most)
        messages = [Message(f"{next(self._numbers):016x}", body, now, now + delay) for body in bodies]
        for message in messages:
            found.put(message)
        return [message.id for message in messages]

    async def lease(self, queue: str, most: int, visibility: float, patience: float = 0.0) -> tuple[list[Message], float]:
        """See `Queues`."""
        found, now = self._queue(queue), self._time()
        first = found.order[:most]
        gathered = gather([due for due, _ in first], now, most, patience)
        leased = []
        for _, name in first[: gathered.ready]:
            known = found.live[name]
            receipt = f"{next(self._numbers):x}"
            message = replace(known, due=now + visibility, attempts=known.attempts + 1, receipt=receipt)
            found.put(message)
            leased.append(message)
        return leased, gathered.wait

    async def settle(self, queue: str, settlements: Sequence[Settlement]) -> int:
        """See `Queues`."""
        found, now, settled = self._queue(queue), self._time(), 0
        for message, action, delay, reason in settlements:
            known = found.live.get(message.id)
            if known is None or known.receipt != message.receipt:
                continue
            settled += 1
            if action == "retry":
                found.put(replace(known, due=now + delay, receipt=""))
                continue
            found.take(message.id)
            if action == "dead":
                found.dead[message.id] = replace(known, due=now, receipt="", reason=reason)
        return settled

    async def counts(self, queue: str) -> Counts:
        """See `Queues`."""
        found = self._queue(queue)
        ready = bisect_left(found.order, (self._time(), "\U0010ffff"))
        return Counts(ready, len(found.order) - ready, len(found.dead))

    async def peek(self, queue: str, limit: int = 10, *, dead: bool = False) -> list[Message]:
        """See `Queues`."""
        found = self._queue(queue)
        if dead:
            return list(found.dead.values())[:limit]
        return [found.live[name] for _, name in found.order[:limit]]

    async def redrive(self, queue: str, limit: int = 1000) -> int:
        """See `Queues`."""
        found, now = self._queue(queue), self._time()
        names = list(found.dead)[:limit]
        for name in names:
            found.put(replace(found.dead.pop(name), due=now, attempts=0, reason=""))
        return len(names)

    async def purge(self, queue: str, *, dead: bool = False) -> int:
        """See `Queues`."""
        found = self._queue(queue)
        if dead:
            gone, found.dead = len(found.dead), {}
            return gone
        gone, found.live, found.order = len(found.live), {}, []
        return gone

    def close(self) -> None:
        """Forgets everything."""
        self._claims.clear()
        self._queues.clear()

    def _queue(self, name: str) -> _Queue:
        return self._queues.setdefault(name, _Queue())
