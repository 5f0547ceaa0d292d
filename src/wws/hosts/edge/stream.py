"""Bodies that arrive in pieces: an answer of `fetch`, passed on as the handle it is unless somebody has to look inside.

Where the pieces come from is a `Source`, where they go a `Sink`: the web platform's streams here, a host's own elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, Protocol

from wws.errors import UpstreamCut, UpstreamTimeout
from wws.hosts.edge.web import Web
from wws.http import Outcome, Response, Stream

__all__ = ["BrokenOff", "FetchStream", "Gone", "Sink", "Source", "WebSink", "WebSource", "pump"]

TICK = 0.25
"""Seconds between two looks at a stream's own timers, as on the self-hosted server."""


class BrokenOff(Exception):
    """A body that ends before its end."""


class Gone(Exception):
    """The client takes no more."""


class Source(Protocol):
    """A body as the platform has it. `handle` is what it may pass on unread."""

    handle: Any

    async def read(self) -> bytes | None:
        """What comes next, None at the end. Raises `BrokenOff`."""
        ...

    def stop(self) -> None:
        """Ends the exchange: whoever waits in `read` gets the end, or `BrokenOff`."""
        ...


class Sink(Protocol):
    """The way to a client."""

    @property
    def left(self) -> bool:
        """Whether the client has left."""
        ...

    async def write(self, data: bytes) -> None:
        """Sends `data`, once there is room for it. Raises `Gone`."""
        ...

    async def close(self, whole: bool) -> None:
        """An answer that is not whole must not look so: its connection is cut."""
        ...


class WebSource:
    """A ReadableStream; `abort` is the AbortController of the `fetch` that it belongs to."""

    __slots__ = ("_abort", "_read", "_reader", "_web", "handle")

    def __init__(self, web: Web, handle: Any, abort: Any) -> None:
        self._web = web
        self.handle = handle
        self._abort = abort
        self._reader: Any = None
        self._read: Any = None  # its method: to look it up costs as much as to call it

    async def read(self) -> bytes | None:
        """See `Source`."""
        if self._read is None:
            self._reader = self.handle.getReader()
            self._read = self._reader.read
        try:
            step = await self._read()
        except self._web.ffi.JsException:
            raise BrokenOff from None
        value = self._web.present(step.value)  # there is none at the end, and only there (Streams, section 4.4.4)
        return None if value is None else self._web.data(value)

    def stop(self) -> None:
        """See `Source`."""
        self._abort.abort()
        asyncio.ensure_future(self._cancel())

    async def _cancel(self) -> None:
        """Cancels the body itself: Deno forgets the signal of a request once it is collected, and `abort` does nothing then."""
        source = self.handle if self._reader is None else self._reader
        with suppress(self._web.ffi.JsException):  # it has ended or failed already, which is as good
            await source.cancel()


class WebSink:
    """A WritableStreamDefaultWriter."""

    __slots__ = ("_web", "_writer")

    def __init__(self, web: Web, writer: Any) -> None:
        self._web = web
        self._writer = writer

    @property
    def left(self) -> bool:
        """See `Sink`: a writer whose reader has cancelled has no desired size (Streams, section 5.3.3)."""
        return self._web.present(self._writer.desiredSize) is None

    async def write(self, data: bytes) -> None:
        """See `Sink`."""
        try:
            await self._writer.write(self._web.octets(data))
        except self._web.ffi.JsException:
            raise Gone from None

    async def close(self, whole: bool) -> None:
        """See `Sink`."""
        try:
            await (self._writer.close() if whole else self._writer.abort("the answer is not whole"))
        except self._web.ffi.JsException:
            return


class FetchStream(Stream):
    """The body of a `fetch`. `untouched` is its source's handle as long as nothing of it was read.

    `idle` seconds may pass between two pieces, and none after `deadline` (monotonic). A piece is one plain wait for the
    platform; one timer for each stream looks at what is due.
    """

    __slots__ = (
        "_deadline", "_due", "_ended", "_from", "_idle", "_late", "_read", "_timer", "_timer_at", "_until", "_waiting", "on_tick",
    )  # fmt: skip

    def __init__(self, source: Source, idle: float, deadline: float) -> None:
        self.held = b""
        self.transform = None
        self.on_tick: Callable[[float], None] | None = None
        """Called every TICK while the stream is read, when it is set before the first piece is asked for."""
        self._from = source
        self._idle = idle
        self._deadline = deadline
        self._read = self._ended = self._waiting = self._late = False
        self._until = self._due = self._timer_at = inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def untouched(self) -> Any | None:
        """The handle, to be passed on without any of it coming by here."""
        return None if self._read or self._ended or self.transform is not None or self.held else self._from.handle

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self.next()
        if not data:
            raise StopAsyncIteration
        return data

    async def next(self, until: float = inf) -> bytes:
        """See `Stream.next`."""
        self._read = True
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._until, self._due = until, min(until, now + self._idle, self._deadline)
        self._watch(loop, now)
        self._waiting = True
        try:
            while not self._ended:
                data = await self._from.read()
                if data is None:
                    self._end()
                elif data:
                    return data
        except BrokenOff:
            self._failed()
        except asyncio.CancelledError:
            self.stop()
            raise
        finally:
            self._waiting = False
        if self._late:
            self._failed()
        return b""

    def _failed(self) -> None:
        """The read failed: because of us, or of the other side."""
        if self._late:
            raise UpstreamTimeout(
                "first_token" if self._due == self._until else "total" if self._due == self._deadline else "idle"
            ) from None
        if not self._ended:
            self._end()
            raise UpstreamCut("the body ended early", answered=True) from None

    def _watch(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Sees to it that the timer rings no later than something is due."""
        wanted = now + TICK if self.on_tick is not None else self._due
        if not self._ended and wanted < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = wanted
            self._timer = loop.call_later(max(0.0, wanted - now), self._rings, loop)

    def _rings(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._timer_at = None, inf
        if self._ended:
            return
        now = loop.time()
        if self.on_tick is not None:
            self.on_tick(now)
        if self._waiting and now >= self._due:
            self._late = True
            self.stop()
        elif self._waiting or self.on_tick is not None:
            self._watch(loop, now)

    def _end(self) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """Ends the exchange: whoever waits for a piece gets the end."""
        if not self._ended:
            self._end()
            self._from.stop()

    async def aclose(self) -> None:
        """Ends the exchange."""
        self.stop()


async def pump(response: Response, stream: Stream, sink: Sink, start: bytes = b"") -> None:
    """Sends `stream` to `sink` through its transform; tells `response.finish` how it ended."""
    sent = _Sent(sink)
    outcome: Outcome = "error"
    try:
        outcome = await _send(stream, sent, start)
    finally:
        if response.finish is not None:
            response.finish(outcome, sent.size)


class _Sent:
    """How much has gone the way to a client. `busy` while the client has not taken what was sent."""

    __slots__ = ("busy", "sink", "size")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.size = 0
        self.busy = False

    async def write(self, data: bytes) -> None:
        """Sends `data`, once there is room for it. Raises `Gone`."""
        if not data:
            return
        self.busy = True
        try:
            await self.sink.write(data)
        finally:
            self.busy = False
        self.size += len(data)

    async def between(self, data: bytes) -> None:
        """`write` beside the stream: that the client is gone, the stream finds out by itself."""
        try:
            await self.write(data)
        except Gone:
            return


async def _send(stream: Stream, sent: _Sent, start: bytes) -> Outcome:
    transform = stream.transform
    outcome: Outcome = "done"
    try:
        held, stream.held = stream.held, b""
        await sent.write(start + held)
        outcome = await _pieces(stream, sent)
    except Gone:
        outcome = "client_closed"
    except UpstreamTimeout:
        outcome = "stall"
    except UpstreamCut:
        outcome = "cut"
    finally:
        await stream.aclose()
    last = b"" if transform is None else transform.end(outcome)
    if outcome == "client_closed":
        return outcome
    try:
        await sent.write(last)
    except Gone:
        return "client_closed"
    await sent.sink.close(outcome == "done" or bool(last))
    return outcome


async def _pieces(stream: Stream, sent: _Sent) -> Outcome:
    """Every piece, and between them what the transform has to say by itself."""
    transform = stream.transform
    if transform is None:
        async for data in stream:
            await sent.write(data)
        return "done"
    tick = getattr(transform, "tick", None)
    if tick is not None and isinstance(stream, FetchStream):
        stream.on_tick = partial(_tick, transform, stream, sent)
    async for data in stream:
        await sent.write(transform.feed(data))
    if sent.sink.left:
        raise Gone
    return "stall" if getattr(transform, "ending", "") == "stall" else "done"


def _tick(transform: Any, stream: FetchStream, sent: _Sent, now: float) -> None:
    """Lets a transform see to its timers."""
    if sent.sink.left:
        stream.stop()
        return
    if sent.busy:
        transform.held_up()
        return
    data = transform.tick(now)
    if data:
        asyncio.ensure_future(sent.between(data))  # Pyodide's loop keeps its tasks
    elif transform.ending:
        stream.stop()
