"""One connection to Redis, as an asyncio protocol: commands out, replies in, in the same order (RESP3).

What is sent in one turn of the event loop shares one write, and what has come is parsed by hiredis: so a command costs some
microseconds where a call of a client library costs 60 to 150. Every command has a time budget. It is watched per turn and not
per command: one timer for all that wait. A reply that comes too late is thrown away.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final, NamedTuple, cast

import hiredis

from wws.errors import StoreError

__all__ = ["MAX_WAITING", "Ears", "Refused", "Wire", "packed"]

Refused = hiredis.ReplyError
"""An error as a reply: it is a value here, and whoever asked says what it means."""

MAX_WAITING: Final = 20_000
"""Commands in line for their replies; more are refused at once."""
SILENT: Final = 1.0
"""Seconds without any reply, while some are due, after which the connection is given up."""
_LATE: Final = 0.002
"""Seconds the event loop gets to read what may have come while it was busy, before a budget counts as spent."""
_MORE: Final = object()


class Ears(NamedTuple):
    """Who is told what a wire hears. `changed`: names that were changed by anybody, None for all names. `took`: the seconds that
    the commands of one turn waited for their replies."""

    changed: Callable[[list[bytes] | None], None]
    took: Callable[[float], None]


def packed(*arguments: bytes | str | int | float) -> bytes:
    """A command as it is sent."""
    command: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]  # it takes any number of them
    return command


class Wire(asyncio.Protocol):
    """See the module. `greeting` are the commands sent first; what is sent meanwhile waits until `accept` has said of their
    replies that nothing is wrong, or what is."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        budget: float,
        greeting: Sequence[bytes],
        accept: Callable[[list[Any]], str | None],
        ears: Ears,
    ) -> None:
        self.name = name
        self.lost: asyncio.Future[str] = loop.create_future()
        """Done, with the reason, when the connection has ended."""
        self.greeted: asyncio.Future[None] = loop.create_future()
        """Done when the greeting was taken well."""
        self._loop = loop
        self._budget = budget
        self._greeting = greeting
        self._accept = accept
        self._hello: list[Any] = []
        self._ears = ears
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._turns: deque[tuple[float, float, int]] = deque()  # written, due, number of the last command sent by then
        self._sent = self._answered = 0
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._warned = False
        self._heard_at = loop.time()

    def send(self, command: bytes) -> asyncio.Future[Any]:
        """Sends with all others of this turn: the future of the reply. `StoreError` when the line is full, and, from the future,
        when the reply does not come in time."""
        if self.lost.done():
            raise StoreError(f"{self.name}: {self.lost.result()}")
        if len(self._waiting) >= MAX_WAITING:
            raise StoreError(f"{self.name}: {MAX_WAITING} commands are waiting already")
        future: asyncio.Future[Any] = self._loop.create_future()
        if not self._waiting:
            self._heard_at = self._loop.time()
        self._waiting.append(future)
        self._out.append(command)
        self._sent += 1
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        return future

    def close(self, reason: str) -> None:
        """Ends the connection; whoever waits is told why."""
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream = cast(asyncio.Transport, transport)
        if self.lost.done():
            stream.abort()
            return
        stream.write(b"".join(self._greeting))

    def data_received(self, data: bytes) -> None:
        reader, waiting = self._reader, self._waiting
        reader.feed(data)
        self._heard_at = self._loop.time()
        self._warned = False
        try:
            while (reply := reader.gets()) is not _MORE:
                if type(reply) is hiredis.PushNotification:
                    if reply and reply[0] == b"invalidate":
                        self._ears.changed(reply[1])
                elif not self.greeted.done():
                    self._greet(reply)
                else:
                    future = waiting.popleft()
                    self._answered += 1
                    if not future.done():
                        future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.close("it does not speak Redis' protocol")
            return
        turns = self._turns
        if turns and turns[0][2] <= self._answered:
            now = monotonic()  # the loop's own clock stands still while it works
            while turns and turns[0][2] <= self._answered:
                self._ears.took(now - turns.popleft()[0])

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("the connection ended" if exc is None else f"the connection ended: {exc}")

    # the turns

    def _greet(self, reply: Any) -> None:
        self._hello.append(reply)
        if len(self._hello) < len(self._greeting):
            return
        fault = self._accept(self._hello)
        if fault is not None:
            self.close(fault)
            return
        self.greeted.set_result(None)
        self._flush()

    def _flush(self) -> None:
        if self._scheduled:  # once for each turn
            self._scheduled = False
            now = self._loop.time()
            self._turns.append((monotonic(), now + self._budget, self._sent))
            if self._timer is None:
                self._timer = self._loop.call_at(now + self._budget, self._overdue)
        if self._out and self.greeted.done() and self._transport is not None and not self.lost.done():
            out, self._out = self._out, []
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _overdue(self) -> None:
        """The oldest turn should have been answered by now."""
        self._timer = None
        turns, now = self._turns, self._loop.time()
        if not turns:
            return
        due = turns[0][1]
        if due > now:
            self._timer = self._loop.call_at(due, self._overdue)
            return
        if not self._warned:  # the reply may have come while this process was busy with something else
            self._warned = True
            self._timer = self._loop.call_later(_LATE, self._overdue)
            return
        self._warned = False
        late = 0
        while turns and turns[0][1] <= now:
            late = turns.popleft()[2] - self._answered
        error = StoreError(f"{self.name} did not answer within {self._budget * 1000:g} ms")
        for place in range(min(late, len(self._waiting))):
            future = self._waiting[place]
            if not future.done():
                future.set_exception(error)
        if now - self._heard_at > SILENT and self.greeted.done():
            self.close("it does not answer")
        elif turns:
            self._timer = self._loop.call_at(turns[0][1], self._overdue)

    def _end(self, reason: str) -> None:
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if not self.greeted.done():
            self.greeted.cancel()
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, deque()
        self._turns.clear()
        self._out.clear()
        error = StoreError(f"{self.name}: {reason}")
        for future in waiting:
            if not future.done():
                future.set_exception(error)
