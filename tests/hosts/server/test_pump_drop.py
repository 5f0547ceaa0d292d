"""A stream that nobody will read: its watcher is told, and its source is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.hosts.server.wire import InMemory, settle
from wws.hosts.server.pump import Piped, Pump
from wws.http import Outcome, Request, Response, Stream


class Watcher:
    """A transform that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def feed(self, chunk: bytes) -> bytes:
        self.said.append(f"fed {len(chunk)}")
        return chunk

    def end(self, outcome: Outcome) -> bytes:
        self.said.append(outcome)
        return b""


class Pipe(Piped):
    """A piped source that writes down its end."""

    __slots__ = ("_said",)

    def __init__(self, said: list[str]) -> None:
        async def nothing() -> AsyncIterator[bytes]:
            yield b""

        super().__init__(nothing())
        self._said = said

    def cancel(self) -> None:
        self._said.append("closed")


async def never() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


@pytest.mark.parametrize("piped", [True, False])
async def test_the_watcher_hears_it_before_the_source_is_closed(piped: bool) -> None:
    watcher = Watcher()

    async def closed() -> None:
        watcher.said.append("closed")

    stream = Pipe(watcher.said) if piped else Stream(never(), closed)
    stream.transform = watcher
    Pump.drop(stream)
    await settle()
    assert watcher.said == ["client_closed", "closed"]


async def test_a_stream_without_a_watcher_is_just_closed() -> None:
    said: list[str] = []
    Pump.drop(Pipe(said))
    assert said == ["closed"]


async def test_an_answer_that_comes_for_a_client_that_is_gone() -> None:
    """The cache's recording, or the reader of usage, must not wait for an end that never comes."""
    watcher = Watcher()
    gate = asyncio.Event()

    async def app(request: Request) -> Response:
        with suppress(asyncio.CancelledError):  # an answer is made all the same
            await gate.wait()
        stream = Pipe(watcher.said)
        stream.transform = watcher
        response = Response(stream)
        response.finish = lambda outcome, sent: watcher.said.append(f"finished {outcome} {sent}")
        return response

    memory = InMemory(app)
    await memory.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    memory.transport.lose()
    await settle()
    assert watcher.said == ["client_closed", "closed", "finished client_closed 0"]


async def test_the_body_of_an_answer_to_head_is_not_read() -> None:
    watcher = Watcher()

    async def app(request: Request) -> Response:
        stream = Pipe(watcher.said)
        stream.transform = watcher
        return Response(stream)

    memory = InMemory(app)
    await memory.send(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert [(answer.status, answer.body) for answer in memory.answers("HEAD")] == [(200, b"")]
    assert watcher.said == ["client_closed", "closed"]
