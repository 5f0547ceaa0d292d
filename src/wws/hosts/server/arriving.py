"""The body of an upstream's answer while it arrives."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from wws.hosts.server.limits import HIGH_WATER
from wws.hosts.server.pump import Piped, Sink
from wws.hosts.server.tasks import Answer, without_task
from wws.http import Response

if TYPE_CHECKING:
    from wws.hosts.server.exchange import UpstreamConnection


class UpstreamStream(Piped):
    """The body of an answer that has not come whole: read by iterating, or given to a sink as it comes."""

    __slots__ = ("_connection", "_ended", "_error", "_pieces", "_sink", "_waiter", "_waiting", "response")

    def __init__(self, connection: UpstreamConnection, response: Response) -> None:
        self.transform = None
        self.response = response
        self._connection = connection
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._ended = False
        self._error: Exception | None = None
        self._sink: Sink | None = None
        self._waiter: asyncio.Future[None] | Answer | None = None
        self.held = b""

    # fed by the connection

    def feed(self, data: bytes) -> None:
        """More has come."""
        if self._sink is not None:
            self._sink.feed(data)
            return
        if data:
            self._pieces.append(data)
            self._waiting += len(data)
            if self._waiting > HIGH_WATER and self._waiter is None:
                self._connection.hold(True)
        self._wake()

    def end(self, error: Exception | None) -> None:
        """Nothing more comes."""
        self._ended = True
        self._error = error
        if self._sink is not None:
            self._sink.end(error)
        elif error is None:
            self._wake()
        else:
            # An error may come in the midst of another request's step.
            self._connection.loop.call_soon(self._wake)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # read by its one reader

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._connection.hold(False)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._take()

    async def next(self, until: float = math.inf) -> bytes:
        """See `Stream.next`. Who is no task yet does not become one by waiting here."""
        while not self._pieces:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return b""
            connection = self._connection
            connection.hold(False)
            connection.expect(until)
            loop = connection.loop
            waiter: asyncio.Future[None] | Answer
            waiter = Answer(loop) if without_task(loop) else loop.create_future()
            self._waiter = waiter
            await waiter
        return self._take()

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._waiting = 0
        return data

    def pipe(self, sink: Sink) -> None:
        self._sink = sink
        if self._pieces:
            sink.feed(self._take())
        if self._ended:
            sink.end(self._error)
        else:
            self._connection.hold(False)

    def pause(self) -> None:
        if not self._ended:
            self._connection.hold(True)

    def resume(self) -> None:
        if not self._ended:
            self._connection.hold(False)

    def cancel(self) -> None:
        if not self._ended:
            self._ended = True
            self._sink = None
            self._connection.cancel()

    async def aclose(self) -> None:
        self.cancel()
