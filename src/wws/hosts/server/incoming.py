"""A request's body while it arrives from a client socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from wws.errors import Refusal
from wws.hosts.server.limits import HIGH_WATER
from wws.http import Body, body_too_large

_UNLIMITED: Final = 1 << 62


class IncomingBody(Body):
    """Fed by the connection, read by one reader.

    Reading stops (`pause`) while more than HIGH_WATER bytes wait for a reader who takes the body in pieces, or for any
    reader at all. A body that ends early, or is framed badly, raises in the reader; a short body never looks whole.
    """

    __slots__ = (
        "_continue",
        "_error",
        "_flow",
        "_limit",
        "_loop",
        "_paused",
        "_pieces",
        "_waiter",
        "_waiting",
        "complete",
        "received",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        length: int | None,
        flow: Callable[[bool], None],
        send_continue: Callable[[], None] | None,
    ) -> None:
        self.length = length
        self.complete = False
        self.received = 0
        self._loop = loop
        self._pieces: list[bytes] = []
        self._waiting = 0  # bytes in _pieces
        self._limit = HIGH_WATER  # of bytes waiting, before the sender is paused
        self._flow = flow  # True: read on; False: stop reading
        self._continue = send_continue
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._error: Refusal | None = None

    @property
    def failed(self) -> Refusal | None:
        """Why the body can never be whole, once that is known."""
        return self._error

    def answered(self) -> None:
        """The answer begins: no 100 may come in its midst."""
        self._continue = None

    def feed(self, data: bytes) -> None:
        """More of the body has come, and nothing comes with it."""
        self.put(data)
        self.settle()

    def put(self, data: bytes) -> None:
        """More of the body has come; `settle` is called when the whole read has been dealt with."""
        size = len(data)
        self._pieces.append(data)
        self._waiting += size
        self.received += size
        if self._waiter is not None:
            self._wake()

    def settle(self) -> None:
        """Stops the sender if more waits than anybody wants.

        Not before a read has been dealt with: most bodies are whole by then, or somebody wants all of them, and to stop and
        start reading costs two system calls.
        """
        if self._waiting > self._limit and not self._paused and not self.complete:
            self._paused = True
            self._flow(False)

    def finish(self) -> None:
        """The body is whole."""
        self.complete = True
        if self._paused:
            self._paused = False
            self._flow(True)  # what comes next is another request
        if self._waiter is not None:
            self._wake()

    @property
    def paused(self) -> bool:
        """Whether more of the body must wait for the reader."""
        return self._paused

    def fail(self, error: Refusal) -> None:
        """The body will never be whole."""
        if not self.complete and self._error is None:
            self._error = error
            if self._waiter is not None:
                self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _more(self) -> None:
        # RFC 9110 section 10.1.1: 100 is sent when somebody wants the body, which is after the request passed auth and limits.
        if self._continue is not None:
            send, self._continue = self._continue, None
            send()
        self._resume()
        self._waiter = self._loop.create_future()
        await self._waiter

    def _resume(self) -> None:
        if self._paused and self._waiting <= self._limit:
            self._paused = False
            self._flow(True)

    @property
    def wanted(self) -> bool:
        """Whether a reader waits for bytes the client owes."""
        return self._waiter is not None

    def ready(self) -> bytes | None:
        """The whole body when it is here and nothing of it was taken in pieces, else None."""
        if not self.complete or self._waiting != self.received:
            return None
        pieces = self._pieces
        if len(pieces) > 1:
            self._pieces = pieces = [b"".join(pieces)]
        return pieces[0] if pieces else b""

    async def read(self, limit: int | None = None) -> bytes:
        """The whole body, at most `limit` bytes: a longer one is refused from its announced length, or as soon as it is seen."""
        most = _UNLIMITED if limit is None else limit
        if (self.length or 0) > most:
            raise body_too_large(most)
        self._limit = most
        while not self.complete:
            if self._error is not None:
                raise self._error
            if self._waiting > most:
                raise body_too_large(most)
            await self._more()
        if self._waiting > most:
            raise body_too_large(most)
        data = self.ready()
        if data is None:
            raise RuntimeError("the body was taken in pieces already")
        return data

    def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces, each given once."""
        return _Chunks(self)

    async def following(self) -> bytes | None:
        """What has come since the last call, once something has; None at the end. Raises as `read` does."""
        while not self._pieces:
            if self.complete:
                return None
            if self._error is not None:
                raise self._error
            await self._more()
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._waiting = 0
        return data


class _Chunks:
    __slots__ = ("_body",)

    def __init__(self, body: IncomingBody) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self._body.following()
        if data is None:
            raise StopAsyncIteration
        return data
