"""A connection to an origin that has switched protocols: bytes pass both ways untouched (RFC 6455, RFC 9110 section 7.8).

Each side is read no faster than the other takes it.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final

import httptools

from wws.bindings import Endpoint
from wws.core.policy import Timeouts
from wws.errors import ConnectFailed, UpstreamCut, UpstreamMalformed, UpstreamTimeout
from wws.hosts.server.limits import HIGH_WATER, UPSTREAM_HEADER_BYTES
from wws.http import Headers, Pair, Response

__all__ = ["Tunnel", "open_tunnel"]

_SWITCHING: Final = 101
_BODY: Final = 1024 * 1024
"""Bytes of an answer that is no switch: a login page, an error."""


class Tunnel(asyncio.Protocol):
    """The origin's side. Its answer comes first; after a 101 it is joined to a client's connection by `start`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answer: asyncio.Future[Response] = loop.create_future()
        self._parser: Any = httptools.HttpResponseParser(self)
        self._far: Any = None
        self._near: Any = None
        self._fields: list[Pair] = []
        self._status = 0
        self._body = b""
        self._read = 0
        self._rest = b""
        self._response: Response | None = None
        self._sent = 0

    # the origin

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._far = transport
        self._far.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        if self._near is not None:
            self._sent += len(data)
            self._near.write(data)
            return
        if self.answer.done():
            self._rest += data  # the origin speaks before the client has heard that it may
            if len(self._rest) > HIGH_WATER:
                self._far.pause_reading()
            return
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._rest = data[upgrade.args[0] :]
            self._switched()
        except httptools.HttpParserError as error:
            self._failed(UpstreamMalformed(str(error)))
        else:
            if self._read > UPSTREAM_HEADER_BYTES + _BODY:
                self._failed(UpstreamMalformed("the answer is too large"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        if self._status == _SWITCHING or self._status >= 200:
            if self._status != _SWITCHING and not self.answer.done():
                self.answer.set_result(Response(self._body, self._status, Headers.trusted(self._fields)))
                self._far.close()
        else:
            self._fields = []  # of another 1xx

    def _switched(self) -> None:
        if self.answer.done():
            return
        if self._status != _SWITCHING:
            self._failed(UpstreamMalformed("unexpected protocol switch"))
            return
        response = Response(b"", _SWITCHING, Headers.trusted(self._fields))
        response.upgrade = self
        response.finish = self._ended
        self.answer.set_result(response)

    def _failed(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
        self._far.abort()

    def pause_writing(self) -> None:
        if self._near is not None:
            self._near.pause_reading()

    def resume_writing(self) -> None:
        if self._near is not None:
            self._near.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(UpstreamCut("closed before the answer was whole", answered=self._read > 0))
        near = self._near
        if near is not None:
            near.close()  # what was written is sent first
            self._finish("done" if exc is None else "cut")

    # the client

    def start(self, near: Any, response: Response, date: bytes) -> None:
        """Joins the two: the client is told, and hears from now on what the origin says."""
        parts = [b"HTTP/1.1 101 Switching Protocols\r\n"]
        for name, value in response.headers.raw:
            parts += (name, b": ", value, b"\r\n")
        near.write(b"".join([*parts, date, response.notes.encode("latin-1"), b"\r\n"]))
        self._response, self._near = response, near
        rest, self._rest = self._rest, b""
        if rest:
            self._sent += len(rest)
            near.write(rest)
        if self._far.is_closing():
            near.close()
            self._finish("done")
        else:
            self._far.resume_reading()

    def feed(self, data: bytes) -> None:
        """What the client says."""
        self._far.write(data)

    def pause(self) -> None:
        """The client takes no more just now."""
        self._far.pause_reading()

    def resume(self) -> None:
        """It can again."""
        if not self._far.is_closing():
            self._far.resume_reading()

    def lost(self) -> None:
        """The client's connection has ended."""
        self._near = None
        self._far.close()
        self._finish("client_closed")

    def _finish(self, outcome: str) -> None:
        response, self._response = self._response, None
        if response is not None and response.finish is not None:
            response.finish(outcome, self._sent)

    def _ended(self, outcome: str, sent: int) -> None:
        """Nobody needs the origin's side any more, or ever did."""
        if not self._far.is_closing():
            self._far.close()


async def open_tunnel(
    loop: asyncio.AbstractEventLoop,
    endpoint: Endpoint,
    context: ssl.SSLContext | None,
    target: str,
    headers: list[Pair],
    timeouts: Timeouts,
) -> Response:
    """The origin's answer to a request to switch: a 101 whose `upgrade` is the tunnel, or another. Raises `UpstreamError`."""
    await asyncio.sleep(0)  # asyncio.timeout needs a task, and a request has none before it first waits
    tunnel = Tunnel(loop)
    try:
        async with asyncio.timeout(timeouts.connect):
            if endpoint.unix is not None:
                await loop.create_unix_connection(lambda: tunnel, endpoint.unix)
            else:
                name = endpoint.host if context is not None else None
                host = endpoint.address or endpoint.host
                await loop.create_connection(lambda: tunnel, host, endpoint.port, ssl=context, server_hostname=name)
    except TimeoutError:
        raise UpstreamTimeout("connect") from None
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ConnectFailed(f"no connection to {endpoint.authority}: {reason}") from None
    parts = [f"GET {target} HTTP/1.1\r\nhost: {endpoint.authority}\r\nconnection: Upgrade\r\n".encode("ascii")]
    for field, value in headers:
        parts += (field, b": ", value, b"\r\n")
    tunnel.feed(b"".join([*parts, b"\r\n"]))
    try:
        async with asyncio.timeout(timeouts.first_byte):
            return await asyncio.shield(tunnel.answer)
    except TimeoutError:
        tunnel.lost()
        raise UpstreamTimeout("first_byte") from None
    except asyncio.CancelledError:
        tunnel.lost()
        raise
