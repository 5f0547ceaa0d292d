"""A response as ASGI messages: whole, or piece by piece as fast as the server takes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from wws.core.wire.head import Refused
from wws.errors import UpstreamCut, UpstreamError, UpstreamTimeout
from wws.hosts.server.limits import TICK
from wws.hosts.server.outgoing import BODILESS
from wws.http import Outcome, Pair, Request, Response, Stream

__all__ = ["Reply", "Send", "refuse"]

Send = Callable[[dict[str, Any]], Awaitable[None]]

# The server's own business; most add a Date of their own, and two would contradict each other.
_SERVER_S: Final = frozenset({b"connection", b"content-length", b"date", b"keep-alive", b"transfer-encoding"})


class Reply:
    """Sends one response. `send` ends when it is out; cancelled, it tells the source and the observers that the client left."""

    def __init__(self, send: Send, request: Request, response: Response) -> None:
        self._send = send
        self._request = request
        self._response = response
        self._sent = 0
        self._told = False

    async def send(self) -> None:
        """The whole answer. Raises `UpstreamError` when it broke off and the client has not been told in the stream itself:
        the server then closes the connection, so that nobody takes the answer for whole."""
        response = self._response
        if isinstance(response.body, Stream):
            await self._stream(response.body)
        else:
            await self._whole(response.body)

    async def _head(self, length: int | None) -> None:
        response = self._response
        headers: list[Pair] = [pair for pair in response.headers.raw if pair[0] not in _SERVER_S]
        headers += _lines(response.notes)
        if length is not None and response.status not in BODILESS:
            headers.append((b"content-length", b"%d" % length))
        await self._send({"type": "http.response.start", "status": response.status, "headers": headers})

    async def _body(self, data: bytes, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def _whole(self, content: bytes) -> None:
        response = self._response
        length: int | None = len(content)
        if self._request.method == "HEAD":
            # RFC 9110 section 8.6: the length a GET would have had, or none at all where that is not known.
            length = response.length if response.length is not None else length or None
            content = b""
        elif response.status in BODILESS:
            content = b""
        self._sent = len(content)
        try:
            await self._head(length)
            await self._body(content, False)
        except BaseException:
            self._finish("client_closed")
            raise
        self._finish("done")

    async def _stream(self, stream: Stream) -> None:
        response = self._response
        try:
            await self._head(response.length)
            if self._request.method == "HEAD" or response.status in BODILESS:
                self._end(stream, "client_closed")
                await stream.aclose()
                await self._body(b"", False)
                self._finish("done")
                return
            if stream.held:
                held, stream.held = stream.held, b""
                await self._piece(held)
            await self._last(stream, await self._pieces(stream))
        except asyncio.CancelledError:
            self._end(stream, "client_closed")
            self._finish("client_closed")
            await stream.aclose()
            raise

    async def _pieces(self, stream: Stream) -> Exception | None:
        """Sends what comes, until the source ends: with None, or with why it is not whole."""
        transform: Any = stream.transform
        try:
            if getattr(transform, "tick", None) is not None:
                return await self._timed(stream, transform)
            async for chunk in stream:
                await self._piece(chunk if transform is None else transform.feed(chunk))
        except Exception as error:
            await stream.aclose()
            return error
        await stream.aclose()
        return None

    async def _timed(self, stream: Stream, transform: Any) -> Exception | None:
        """A stream with timers of its own: it is looked at now and then while nothing comes."""
        loop = asyncio.get_running_loop()
        source = aiter(stream)
        while True:
            coming = loop.create_task(_next(source))
            try:
                while not coming.done():
                    await asyncio.wait({coming}, timeout=TICK)
                    if coming.done():
                        break
                    beat = transform.tick(loop.time())
                    if beat:
                        await self._piece(beat)
                    elif transform.ending:
                        return None if transform.ending == "done" else UpstreamTimeout("idle")
                chunk = coming.result()
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait({coming})
                    await stream.aclose()
            if chunk is None:
                return None
            before = loop.time()
            await self._piece(transform.feed(chunk))
            if loop.time() - before > TICK:
                transform.held_up()  # the client took its time: the silence is not the provider's

    async def _piece(self, data: bytes) -> None:
        if not data:
            return
        length = self._response.length
        if length is not None and self._sent + len(data) > length:
            data = data[: length - self._sent]
        self._sent += len(data)
        await self._body(data, True)

    async def _last(self, stream: Stream, error: Exception | None) -> None:
        outcome = _outcome(error)
        last = self._end(stream, outcome)
        await self._piece(last)
        short = self._response.length is not None and self._sent != self._response.length
        if short and error is None:
            error, outcome = UpstreamCut("shorter than announced", answered=True), "cut"
        self._finish(outcome)
        if error is not None and (short or not last):
            raise error if isinstance(error, UpstreamError) else UpstreamCut("the source failed", answered=True)
        await self._body(b"", False)

    @staticmethod
    def _end(stream: Stream, outcome: Outcome) -> bytes:
        return b"" if stream.transform is None else stream.transform.end(outcome)

    def _finish(self, outcome: Outcome) -> None:
        if not self._told:
            self._told = True
            if self._response.finish is not None:
                self._response.finish(outcome, self._sent)


async def _next(source: AsyncIterator[bytes]) -> bytes | None:
    return await anext(source, None)


def _outcome(error: Exception | None) -> Outcome:
    if error is None:
        return "done"
    if isinstance(error, UpstreamTimeout):
        return "stall"
    return "cut" if isinstance(error, UpstreamCut) else "error"


def _lines(notes: str) -> list[Pair]:
    """The gateway's own header lines, one by one."""
    pairs = [line.partition(": ") for line in notes.split("\r\n") if line]
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, _, value in pairs]


async def refuse(send: Send, refused: Refused) -> None:
    """The answer to a head that is none we take."""
    body = refused.reason.encode() + b"\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
