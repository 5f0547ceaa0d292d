"""A stream read as it comes, and a provider that sends an event only when the one before has arrived."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

from tests.e2e.neighbours import Neighbours
from tests.support.provider import Exchange

__all__ = ["Paced", "events", "opened"]

_PATIENCE = 10.0


@contextmanager
def opened(url: str, target: str, token: str, body: object) -> Iterator[HTTPResponse]:
    """The answer to a POST, its body not read yet. Who leaves the block hangs up."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE)
    fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", target, json.dumps(body).encode(), fields)
        with connection.getresponse() as response:
            yield response
    finally:
        connection.close()


def events(response: HTTPResponse) -> Iterator[bytes]:
    """Each event without its blank line, as soon as it is there."""
    waiting = b""
    while piece := response.read1(65536):
        waiting += piece
        *whole, waiting = waiting.split(b"\n\n")
        yield from whole
    assert not waiting, f"the stream ends within an event: {waiting!r}"


class Paced:
    """Behaviour of a provider's model: the next event is sent when `go` is called. `left` is set when the caller hung up.

    `most` ends the stream early, after so many events: in good order, or with `cut` by closing the connection.
    """

    def __init__(self, around: Neighbours, most: int | None = None, *, cut: bool = False) -> None:
        self._around = around
        self._most = most
        self._cut = cut
        self._next = asyncio.Semaphore(0)
        self.left = False

    def go(self, events: int = 1) -> None:
        """Lets so many events go; one more than there are lets the stream end."""
        for _ in range(events):
            self._around.call(self._next.release)

    async def __call__(self, exchange: Exchange) -> None:
        try:
            await exchange.events([], end=False)
            for event in exchange.stream()[: self._most]:
                await self._next.acquire()
                await exchange.raw(b"%x\r\n%s\r\n" % (len(event), event))
            await self._next.acquire()
            if self._cut:
                exchange.abort()
            else:
                await exchange.raw(b"0\r\n\r\n")
        except (asyncio.CancelledError, ConnectionError):
            self.left = True
            raise
