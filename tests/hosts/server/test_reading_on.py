"""Streams that are read before they are sent: piece by piece, with a time for the next one, and then on to the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.hosts.server.wire import InMemory, exchange, serving, settle, until, upstream
from wws.bindings import Endpoint
from wws.core.policy import Timeouts
from wws.core.wire.relay_stream import PING, RelayStream
from wws.errors import UpstreamCut, UpstreamTimeout
from wws.hosts.server.dialer import Dialer
from wws.http import Outcome, Request, Response, Stream

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def piece(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Source:
    """An upstream that sends a piece whenever it is told to; `None` cuts it, `b""` ends it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD)
            while (data := await self.queue.get()) is not None:
                writer.write(piece(data))
                if not data:
                    break
            else:
                return


async def opened(dialer: Dialer, url: str, timeouts: Timeouts | None = None) -> Stream:
    response = await dialer.send(Endpoint(url), "GET", "/", [], b"", timeouts or Timeouts(), None)
    assert isinstance(response.body, Stream)
    return response.body


async def test_piece_by_piece() -> None:
    source = Source()
    async with upstream(source) as to:
        dialer = Dialer(asyncio.get_running_loop())
        stream = await opened(dialer, to.url)
        source.queue.put_nowait(b"one")
        assert await stream.next() == b"one"
        reading = asyncio.ensure_future(stream.next())
        await settle()
        assert not reading.done()
        source.queue.put_nowait(b"two")
        assert await reading == b"two"
        source.queue.put_nowait(b"three")
        source.queue.put_nowait(b"")
        assert [data async for data in stream] == [b"three"]
        assert await stream.next() == b""
        dialer.close()


async def test_a_cut_is_raised() -> None:
    source = Source()
    async with upstream(source) as to:
        dialer = Dialer(asyncio.get_running_loop())
        stream = await opened(dialer, to.url)
        reading = asyncio.ensure_future(stream.next())
        await settle()
        source.queue.put_nowait(None)
        with pytest.raises(UpstreamCut):
            await reading
        with pytest.raises(UpstreamCut):
            await stream.next()


async def test_the_next_piece_is_due() -> None:
    source = Source()
    async with upstream(source) as to:
        loop = asyncio.get_running_loop()
        dialer = Dialer(loop)
        stream = await opened(dialer, to.url, Timeouts(idle=100.0))
        reading = asyncio.ensure_future(stream.next(loop.time() + 5.0))
        await settle()
        dialer.tick(loop.time() + 4.0)
        await settle()
        assert not reading.done()
        dialer.tick(loop.time() + 6.0)
        with pytest.raises(UpstreamTimeout) as caught:
            await reading
        assert caught.value.phase == "first_token"
        await until(lambda: not dialer.open_connections)


async def test_a_time_that_was_kept_does_not_count_for_the_piece_after_it() -> None:
    source = Source()
    async with upstream(source) as to:
        loop = asyncio.get_running_loop()
        dialer = Dialer(loop)
        stream = await opened(dialer, to.url, Timeouts(idle=100.0))
        source.queue.put_nowait(b"one")
        assert await stream.next(loop.time() + 5.0) == b"one"
        reading = asyncio.ensure_future(stream.next())
        await settle()
        dialer.tick(loop.time() + 50.0)
        source.queue.put_nowait(b"two")
        assert await reading == b"two"
        dialer.close()


@pytest.mark.parametrize("task", [False, True])
async def test_what_was_read_is_sent_first_and_then_the_rest(task: bool) -> None:
    """Whether the request waited for something else before, and so is a task, or not."""
    source = Source()
    async with upstream(source) as to:
        dialer = Dialer(asyncio.get_running_loop())

        async def app(request: Request) -> Response:
            if task:
                await asyncio.sleep(0)
            stream = await opened(dialer, to.url)
            data = await stream.next()
            while len(data) < 6:
                data += await stream.next()
            stream.held = b"<" + data + b">"
            return Response(stream)

        async with serving(app) as (_, port):
            asking = asyncio.ensure_future(exchange(port, GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")))
            await until(lambda: to.open)
            for data in (b"one", b"two", b"three", b""):
                source.queue.put_nowait(data)
                await asyncio.sleep(0.01)
            answer = await asking
            assert b"<onetwo>" in answer
            assert answer.endswith(b"5\r\nthree\r\n0\r\n\r\n")
        assert dialer.open_connections == 1  # kept: it ended well
        dialer.close()


async def test_a_client_who_leaves_while_the_first_piece_is_waited_for() -> None:
    source = Source()
    async with upstream(source) as to:
        dialer = Dialer(asyncio.get_running_loop())

        async def app(request: Request) -> Response:
            stream = await opened(dialer, to.url)
            try:
                await stream.next()
            except BaseException:
                await stream.aclose()
                raise
            raise AssertionError("there was no piece")

        async with serving(app) as (_, port):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET)
            await until(lambda: to.open)
            await settle()
            writer.close()
            await until(lambda: not dialer.open_connections, "the upstream connection is closed")
        assert not source.queue.qsize()


# timers of a stream that is being sent


def event(text: str, finish: str = "null") -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":%b}]}\n\n' % (text.encode(), finish.encode())


class Slow:
    """An app whose stream gives what it is told to, as an iterator does."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.relay = RelayStream(idle=40.0)
        self.ended: list[Outcome] = []
        self.closed = False

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            yield await self.queue.get()

    async def _close(self) -> None:
        self.closed = True

    async def __call__(self, request: Request) -> Response:
        stream = Stream(self._chunks(), self._close)
        stream.transform = self.relay
        response = Response(stream)
        response.finish = lambda outcome, sent: self.ended.append(outcome)
        return response


async def test_heartbeats_and_a_stall() -> None:
    app = Slow()
    wire = InMemory(app)
    await wire.send(GET)
    app.queue.put_nowait(event("one"))
    await settle()
    start = asyncio.get_running_loop().time()
    for second in range(0, 45, 1):
        wire.connection.check(start + second)
        await settle(2)
    written = bytes(wire.transport.written)
    assert written.count(PING) == 2
    assert b"provider_timeout" in written
    assert app.ended == ["stall"]
    assert app.closed


async def test_a_whole_answer_whose_source_stays_open() -> None:
    app = Slow()
    wire = InMemory(app)
    await wire.send(GET)
    app.queue.put_nowait(event("one", '"stop"'))
    await settle()
    start = asyncio.get_running_loop().time()
    wire.connection.check(start)
    wire.connection.check(start + 4)
    await settle()
    assert bytes(wire.transport.written).endswith(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    assert app.ended == ["done"]
    assert app.closed


async def test_a_client_who_does_not_read_gets_no_heartbeats() -> None:
    app = Slow()
    wire = InMemory(app)
    wire.transport.room = False
    await wire.send(GET)
    app.queue.put_nowait(event("x" * 200_000))
    await settle()
    start = asyncio.get_running_loop().time()
    for second in range(50):
        wire.connection.check(start + second)
    assert PING not in wire.transport.written
    assert app.ended == []
    wire.transport.lose()
    await settle()
    assert app.ended == ["client_closed"]
