"""Delivering queues to functions: for each queue one batch at a time in each process, leased from the store and settled after.

What another process sends is seen within `POLL` seconds, what this one sends at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from wws.bindings import Queues
from wws.core.queue.delivery import Settlement, Terms, overdue
from wws.core.queue.message import Counts, Message
from wws.errors import QueueFull, StoreError

__all__ = ["POLL", "Consumers", "Receiver"]

POLL: Final = 1.0
"""Seconds until what another process has sent is seen at the latest: a look costs some microseconds."""
_PAUSES: Final = (1.0, 2.0, 5.0, 10.0)
"""Seconds to wait for a store that fails, the last of them from then on."""
_log = logging.getLogger("wws.queue")

Deliver = Callable[["Receiver", list[Message]], Awaitable[list[Settlement]]]


@dataclass(frozen=True, slots=True)
class Receiver:
    """A queue with the function that gets it, None where nobody here does; `dead_letter` names the queue of its dead letters."""

    queue: str
    function: str | None
    terms: Terms
    dead_letter: str | None = None


class Consumers:
    """`deliver` hands a batch to its function and says what becomes of the messages; it raises nothing but cancellation."""

    def __init__(self, queues: Queues, deliver: Deliver) -> None:
        self._queues = queues
        self._deliver = deliver
        self._receivers: dict[str, Receiver] = {}
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._stopping = False
        self.counts: dict[str, Counts] = {}
        """What each queue held when it was last counted."""

    def use(self, receivers: Mapping[str, Receiver]) -> None:
        """These queues from now on. A batch that is being worked on ends as it began."""
        self._receivers = dict(receivers)
        loop = asyncio.get_running_loop()
        for name, receiver in receivers.items():
            self._wake.setdefault(name, asyncio.Event()).set()
            if receiver.function is not None and (name not in self._loops or self._loops[name].done()):
                self._loops[name] = loop.create_task(self._consume(name), name=f"queue {name}")
        for name in self._wake.keys() - receivers.keys():
            self._wake[name].set()  # so that its loop sees that it is over

    def sent(self, queue: str) -> None:
        """This process has sent to `queue`."""
        if (event := self._wake.get(queue)) is not None:
            event.set()

    async def count(self) -> None:
        """Counts every queue anew; one that cannot be read keeps its counts."""
        for name in self._receivers:
            try:
                self.counts[name] = await self._queues.counts(name)
            except StoreError:
                continue

    async def drain(self, grace: float) -> None:
        """Takes no more; waits up to `grace` seconds for batches in progress. Those that are cut off come back by themselves."""
        self._stopping = True
        for event in self._wake.values():
            event.set()
        running = {task for task in self._loops.values() if not task.done()}
        if running:
            _, late = await asyncio.wait(running, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)

    async def _consume(self, name: str) -> None:
        failures, event = 0, self._wake[name]
        while not self._stopping and (receiver := self._receivers.get(name)) is not None and receiver.function is not None:
            event.clear()
            try:
                pause = await self._batch(receiver)
                if failures:
                    _log.info("queue %s: the store works again", name)
                failures = 0
            except StoreError as error:
                if not failures:
                    _log.error("queue %s waits for the store: %s", name, error)
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                failures += 1
            if pause > 0:
                try:
                    await asyncio.wait_for(event.wait(), pause)
                except TimeoutError:
                    continue

    async def _batch(self, receiver: Receiver) -> float:
        """Delivers one batch: the seconds until the next look."""
        terms = receiver.terms
        messages, wait = await self._queues.lease(receiver.queue, terms.max_batch, terms.visibility, terms.max_wait)
        if not messages:
            return min(wait, POLL)
        alive, found = overdue(messages, terms)
        if alive:
            found += await self._deliver(receiver, alive)
        await self._settle(receiver, found)
        return 0.0

    async def _settle(self, receiver: Receiver, found: list[Settlement]) -> None:
        settled = [await self._buried(receiver, one) if one.action == "dead" else one for one in found]
        heard = await self._queues.settle(receiver.queue, settled)
        if heard < len(settled):
            _log.warning(
                "queue %s: %d of %d messages had been delivered anew before function %s ended; visibility is %g s",
                receiver.queue,
                len(settled) - heard,
                len(settled),
                receiver.function,
                receiver.terms.visibility,
            )

    async def _buried(self, receiver: Receiver, one: Settlement) -> Settlement:
        """A dead letter, in the queue that takes it where there is one. It is there before it is gone here: at least once."""
        _log.error(
            "queue %s: message %s is a dead letter after %d deliveries: %s",
            receiver.queue,
            one.message.id,
            one.message.attempts,
            one.reason,
        )
        if receiver.dead_letter is None:
            return one
        target = self._receivers.get(receiver.dead_letter)
        try:
            await self._queues.send(
                receiver.dead_letter, [one.message.body], most=target.terms.max_messages if target else Terms().max_messages
            )
        except QueueFull as error:
            _log.error("queue %s keeps it: %s", receiver.queue, error)
            return one
        self.sent(receiver.dead_letter)
        return one._replace(action="ack")
