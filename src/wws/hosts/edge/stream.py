"""Bodies that arrive in pieces: an answer of `fetch`, passed on as the handle it is unless somebody has to look inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from math import inf
from typing import Any

from wws.errors import UpstreamCut, UpstreamTimeout
from wws.hosts.edge.web import Web
from wws.http import Outcome, Response, Stream

__all__ = ["FetchStream", "pump"]

TICK = 0.25
"""Seconds between two looks at a stream's own timers, as on the self-hosted server."""


class FetchStream(Stream):
    """The body of a `fetch`. `untouched` is its ReadableStream as long as nothing of it was read.

    `idle` seconds may pass between two pieces, and none after `deadline` (monotonic). `abort` ends the exchange.
    """

    __slots__ = ("_abort", "_ended", "_handle", "_pending", "_reader", "_web", "deadline", "idle")

    def __init__(self, web: Web, handle: Any, abort: Any, idle: float, deadline: float) -> None:
        self.held = b""
        self.transform = None
        self._web = web
        self._handle = handle
        self._abort = abort
        self._reader: Any = None
        self._pending: asyncio.Future[Any] | None = None
        self._ended = False
        self.idle = idle
        self.deadline = deadline

    @property
    def untouched(self) -> Any | None:
        """The handle, to be passed on without any of it coming by here."""
        return None if self._reader is not None or self._ended or self.transform is not None or self.held else self._handle

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self.next()
        if not data:
            raise StopAsyncIteration
        return data

    async def next(self, until: float = inf) -> bytes:
        """See `Stream.next`."""
        now = asyncio.get_running_loop().time()
        soonest = min(until, now + self.idle, self.deadline)
        while not self._ended:
            data = await self.within(soonest - now)
            if data is None:
                await self.aclose()
                raise UpstreamTimeout("first_token" if soonest == until else "total" if soonest == self.deadline else "idle")
            if data:
                return data
        return b""

    async def within(self, seconds: float) -> bytes | None:
        """What comes in the next `seconds`: b"" at the end, None when nothing has. Raises `UpstreamCut`."""
        if self._ended:
            return b""
        if self._reader is None:
            self._reader = self._handle.getReader()
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._step(self._reader))
        done, _ = await asyncio.wait({self._pending}, timeout=max(0.0, seconds))
        if not done:
            return None
        pending, self._pending = self._pending, None
        try:
            data: bytes | None = pending.result()
        except self._web.ffi.JsException:
            self._ended = True
            raise UpstreamCut("the body ended early", answered=True) from None
        if data is None:
            self._ended = True
            return b""
        return data

    async def _step(self, reader: Any) -> bytes | None:
        step = await reader.read()
        return None if step.done else self._web.data(step.value)

    async def aclose(self) -> None:
        """Ends the exchange."""
        if not self._ended:
            self._ended = True
            self._abort.abort()
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()


async def pump(web: Web, response: Response, stream: Stream, writer: Any, start: bytes = b"") -> None:
    """Sends `stream` to `writer` (a WritableStreamDefaultWriter) through its transform; tells `response.finish` how it ended."""
    sent = _Sent(web, writer)
    outcome: Outcome = "error"
    try:
        outcome = await _send(stream, sent, start)
    finally:
        if response.finish is not None:
            response.finish(outcome, sent.size)


class _Gone(Exception):
    """The client takes no more."""


class _Sent:
    """The way out, and how much has gone it."""

    __slots__ = ("_web", "size", "writer")

    def __init__(self, web: Web, writer: Any) -> None:
        self._web = web
        self.writer = writer
        self.size = 0

    async def write(self, data: bytes) -> None:
        if not data:
            return
        try:
            await self.writer.write(self._web.octets(data))
        except self._web.ffi.JsException:
            raise _Gone from None
        self.size += len(data)

    async def close(self, whole: bool) -> None:
        """An answer that is not whole must not look so: its connection is cut."""
        try:
            await (self.writer.close() if whole else self.writer.abort("the answer is not whole"))
        except self._web.ffi.JsException:
            return


async def _send(stream: Stream, sent: _Sent, start: bytes) -> Outcome:
    transform = stream.transform
    outcome: Outcome = "done"
    try:
        held, stream.held = stream.held, b""
        await sent.write(start + held)
        outcome = await _pieces(stream, sent)
    except _Gone:
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
    except _Gone:
        return "client_closed"
    await sent.close(outcome == "done" or bool(last))
    return outcome


async def _pieces(stream: Stream, sent: _Sent) -> Outcome:
    """Every piece, and between them the transform's own timers."""
    transform = stream.transform
    feed = _same if transform is None else transform.feed
    tick = getattr(transform, "tick", None)
    if tick is None or not isinstance(stream, FetchStream):
        async for data in stream:
            await sent.write(feed(data))
        return "done"
    clock = asyncio.get_running_loop().time
    quiet_since = clock()
    while True:
        piece = await stream.within(TICK)
        if piece == b"":
            return "done"
        now = clock()
        if piece is not None:
            quiet_since = now
            await sent.write(feed(piece))
        elif now > stream.deadline or now - quiet_since > stream.idle:
            raise UpstreamTimeout("total" if now > stream.deadline else "idle")
        await sent.write(tick(now))
        ending: str = getattr(transform, "ending", "")
        if ending:
            return "done" if ending == "done" else "stall"


def _same(data: bytes) -> bytes:
    return data
