"""Questions and answers between the supervisor and a worker, over a socket pair.

A message is its length (4 bytes, big-endian) and JSON: `[number, kind, what, value]`. The kinds are `ask`, which wants an
answer of the same number, `tell`, which wants none, `answer`, and `refuse`, an answer that is a reason why there is none.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self, cast

from wws import codec
from wws.errors import WwsError

__all__ = ["Channel", "ChannelError"]

LARGEST = 64 * 1024 * 1024
"""Bytes of a message; a snapshot of 2,000 series with their histograms has some three."""
_LENGTH = 4
_log = logging.getLogger("wws.server")

Handler = Callable[[str, Any], Awaitable[Any]]


class ChannelError(WwsError):
    """The other side refused, said nothing in time, or is gone."""


class Channel(asyncio.Protocol):
    """One end. `handler(what, value)` answers what the other side asks and hears what it tells; `closed` is set at the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handler: Handler) -> None:
        self._loop = loop
        self._handler = handler
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._number = 0
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed: asyncio.Event = asyncio.Event()

    @classmethod
    async def open(cls, sock: socket.socket, handler: Handler) -> Self:
        """The end of a socket pair in the running event loop."""
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        _, made = await loop.create_unix_connection(lambda: cls(loop, handler), sock=sock)
        return made

    async def ask(self, what: str, value: Any = None, timeout: float = 5.0) -> Any:
        """The other side's answer. Raises `ChannelError`."""
        self._number += 1
        number, answer = self._number, self._loop.create_future()
        self._asked[number] = answer
        try:
            self._send([number, "ask", what, value])
            await asyncio.wait({answer}, timeout=timeout)
        finally:
            self._asked.pop(number, None)
        if not answer.done():
            raise ChannelError(f"no answer to {what!r} within {timeout:g} s")
        return answer.result()

    def tell(self, what: str, value: Any = None) -> None:
        """Says something that wants no answer; to nobody when the other side is gone."""
        with suppress(ChannelError):
            self._send([0, "tell", what, value])

    def _send(self, message: list[Any]) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ChannelError("the other process is gone")
        data = codec.encode(message)
        transport.write(len(data).to_bytes(_LENGTH, "big") + data)

    def close(self) -> None:
        """Sends what is written and closes."""
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by ancestry

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ChannelError("the other process is gone"))
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._data[:_LENGTH], "big")
            if end > LARGEST:
                _log.error("a message of %d bytes between processes: the connection is given up", end)
                if self._transport is not None:
                    self._transport.abort()
                return
            if len(self._data) < end:
                return
            message = codec.decode(bytes(self._data[_LENGTH:end]))
            del self._data[:end]
            self._take(*message)

    def _take(self, number: int, kind: str, what: str, value: Any) -> None:
        if kind in ("ask", "tell"):
            task = self._loop.create_task(self._answer(number, kind, what, value))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        answer = self._asked.get(number)
        if answer is not None and not answer.done():
            if kind == "answer":
                answer.set_result(value)
            else:
                answer.set_exception(ChannelError(str(value)))

    async def _answer(self, number: int, kind: str, what: str, value: Any) -> None:
        try:
            given: Any = await self._handler(what, value)
            message = [number, "answer", what, given]
        except WwsError as error:
            message = [number, "refuse", what, str(error)]
        except Exception as error:
            _log.exception("%r from the other process failed", what)
            message = [number, "refuse", what, type(error).__name__]
        if kind == "ask" and self._transport is not None:
            self._send(message)
