"""Sends a streamed answer to a client, as fast as the client takes it and no faster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from wws.errors import UpstreamCut, UpstreamTimeout
from wws.hosts.server import outgoing
from wws.hosts.server.iterate import iterate
from wws.http import Outcome, Request, Response, Stream

if TYPE_CHECKING:
    from wws.hosts.server.connection import Connection
    from wws.hosts.server.transport import Transport


class Sink(Protocol):
    """Where a `Piped` stream puts its bytes."""

    def feed(self, data: bytes) -> None:
        """More bytes."""
        ...

    def end(self, error: Exception | None) -> None:
        """No more; with `error` the stream is not whole."""
        ...


class Piped(Stream):
    """A stream whose bytes come by callback: no task is woken for a chunk."""

    __slots__ = ()

    def pipe(self, sink: Sink) -> None:
        """Gives `sink` what has come and what comes."""
        raise NotImplementedError

    def pause(self) -> None:
        """The sink can take no more just now."""
        raise NotImplementedError

    def resume(self) -> None:
        """It can again."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Nobody wants the rest: the source is closed at once."""
        raise NotImplementedError


def _outcome(error: Exception | None) -> Outcome:
    if error is None:
        return "done"
    if isinstance(error, UpstreamTimeout):
        return "stall"
    return "cut" if isinstance(error, UpstreamCut) else "error"


class Pump:
    """One streamed answer on its way to one client."""

    __slots__ = (
        "_chunked",
        "_close",
        "_connection",
        "_ended",
        "_flowing",
        "_request",
        "_response",
        "_sent",
        "_stream",
        "_task",
        "_tick",
        "_transport",
    )

    def __init__(
        self, connection: Connection, transport: Transport, request: Request, response: Response, close: bool, version_1_0: bool
    ) -> None:
        if not isinstance(response.body, Stream):
            raise TypeError("a pump sends streams")
        self._connection = connection
        self._transport = transport
        self._request = request
        self._response = response
        self._stream = response.body
        # RFC 9112 section 6.1: no transfer coding to an HTTP/1.0 client; there the end of the connection ends the body.
        self._chunked = response.length is None and not version_1_0
        self._close = close or (response.length is None and version_1_0)
        self._flowing: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._tick: Callable[[float], bytes] | None = getattr(self._stream.transform, "tick", None)
        self._sent = 0
        self._ended = False

    def start(self) -> None:
        """Sends the head and begins to send the body."""
        response = self._response
        if response.length is not None:
            framing = b"content-length: %d\r\n" % response.length
        else:
            framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        bodiless = self._request.method == "HEAD" or response.status in outgoing.BODILESS
        if response.status in outgoing.BODILESS:
            framing = b""
        self._transport.write(outgoing.head(response, self._connection.date, framing, self._close))
        if bodiless:
            self.drop(self._stream)
            self._finish("done")
            self._connection.sent(self._close)
            return
        held, self._stream.held = self._stream.held, b""
        if held:
            self._write(held)
        if isinstance(self._stream, Piped):
            self._stream.pipe(self)
        else:
            self._flowing = asyncio.Event()
            self._flowing.set()
            failed = partial(self._connection.stream_failed, self._request)
            self._task = asyncio.get_running_loop().create_task(iterate(self._stream, self, self._flowing, failed))

    def feed(self, data: bytes) -> None:
        """Sends more of the body."""
        transform = self._stream.transform
        if transform is not None:
            data = transform.feed(data)
        self._write(data)

    def end(self, error: Exception | None) -> None:
        """The source has ended; with `error` before it was whole."""
        transform = self._stream.transform
        told = False
        if transform is not None:
            last = transform.end(_outcome(error))
            if last:
                self._write(last)
                told = True
        self._last(error, told)

    def _write(self, data: bytes) -> None:
        if data:
            self._sent += len(data)
            if self._chunked:
                self._transport.write(outgoing.chunk(data))
                return
            length = self._response.length
            if length is not None and self._sent > length:
                data = data[: length - self._sent]  # more than was announced would be read as the next answer
            self._transport.write(data)

    def _last(self, error: Exception | None, told: bool = False) -> None:
        if self._ended:
            return
        short = self._response.length is not None and self._sent != self._response.length
        if error is not None and not told or short:
            # No last chunk and an early close: the client must not take the answer for whole.
            self._finish(_outcome(error) if error is not None else "cut")
            self._connection.sent(True)
            return
        if self._chunked:
            self._transport.write(outgoing.LAST_CHUNK)
        self._finish(_outcome(error))
        self._connection.sent(self._close or error is not None)

    def _finish(self, outcome: Outcome) -> None:
        self._ended = True
        if self._response.finish is not None:
            self._response.finish(outcome, self._sent)

    def check(self, now: float, clogged: bool) -> None:
        """Lets the transform see to its own timers, if it has any. `clogged`: the client does not take what is sent."""
        if self._tick is None or self._ended:
            return
        transform: Any = self._stream.transform
        if clogged:
            transform.held_up()
            return
        data = self._tick(now)
        if data:
            self._write(data)
        elif transform.ending:
            if self._task is not None:
                self._task.cancel()
            elif isinstance(self._stream, Piped):
                self._stream.cancel()
            self.end(None if transform.ending == "done" else UpstreamTimeout("idle"))

    # the client's side

    def pause(self) -> None:
        """The client reads slower than the source sends."""
        if isinstance(self._stream, Piped):
            self._stream.pause()
        elif self._flowing is not None:
            self._flowing.clear()

    def resume(self) -> None:
        """The client has caught up."""
        if isinstance(self._stream, Piped):
            self._stream.resume()
        elif self._flowing is not None:
            self._flowing.set()

    def close_after(self) -> None:
        """The connection is to close when the answer has been sent."""
        self._close = True

    def expire(self) -> None:
        """The server stops and cannot wait for the rest: the source is told, and the client that this is not the end."""
        if self._ended:
            return
        if self._task is not None:
            self._task.cancel()
        elif isinstance(self._stream, Piped):
            self._stream.cancel()
        transform = self._stream.transform
        last = b"" if transform is None else transform.end("stopped")
        if last:
            self._write(last)
            if self._chunked:
                self._transport.write(outgoing.LAST_CHUNK)
        # Where nothing was said there is no last chunk either: the client must not take the answer for whole.
        self._finish("stopped")
        self._connection.sent(True)

    def abort(self) -> None:
        """The client is gone: the source is told at once."""
        if self._ended:
            return
        self._ended = True
        if self._task is not None:
            self._task.cancel()
        elif isinstance(self._stream, Piped):
            self._stream.cancel()
        if self._stream.transform is not None:
            self._stream.transform.end("client_closed")
        if self._response.finish is not None:
            self._response.finish("client_closed", self._sent)

    @staticmethod
    def drop(stream: Stream) -> None:
        """Closes a stream that nobody will read."""
        if stream.transform is not None:
            stream.transform.end("client_closed")
        if isinstance(stream, Piped):
            stream.cancel()
        else:
            task = asyncio.get_running_loop().create_task(_close(stream))
            _closing.add(task)
            task.add_done_callback(_closing.discard)


_closing: set[asyncio.Task[None]] = set()  # asyncio keeps only weak references to tasks


async def _close(stream: Stream) -> None:
    await stream.aclose()
