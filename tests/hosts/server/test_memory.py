"""A slow reader on one side never makes memory grow on the other: what is buffered is measured, both ways through a proxy."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.hosts.server.wire import Client, Upstream, serving, settle, until, upstream
from wws.bindings import Endpoint
from wws.core.policy import Timeouts
from wws.core.wire import hygiene
from wws.hosts.server.dialer import Dialer
from wws.hosts.server.limits import HIGH_WATER
from wws.http import Headers, Request, Response

MB = 1024 * 1024
BOUND = 2 * MB
"""Of Python's memory for one connection pair: both high-water marks, and a read of a socket on either side (256 KiB)."""


@asynccontextmanager
async def proxy(to: Upstream) -> AsyncIterator[int]:
    """A bare proxy to `to` on the data plane; its port."""
    through = Dialer(asyncio.get_running_loop())
    endpoint = Endpoint(to.url)

    async def app(request: Request) -> Response:
        headers = hygiene.to_origin(request.headers.raw, request.headers.first.get(b"connection"))
        response = await through.send(endpoint, request.method, request.target, headers, request.body, Timeouts())
        response.headers = Headers.trusted(hygiene.from_upstream(response.headers.raw, None))
        return response

    async with serving(app, on_tick=through.tick) as (_, port):
        yield port
        through.close()


class Traced:
    """The greatest growth of Python's memory while it lasts."""

    def __enter__(self) -> Traced:
        gc.collect()
        tracemalloc.start()
        self._start = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        return self

    def __exit__(self, *error: object) -> None:
        self.growth = tracemalloc.get_traced_memory()[1] - self._start
        tracemalloc.stop()


async def still(value: list[int]) -> None:
    """Waits until `value` grows no more."""
    before = -1
    while before != value[0]:
        before = value[0]
        await asyncio.sleep(0.05)


async def test_a_hundred_megabytes_to_a_slow_reader() -> None:
    sent = [0]

    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MB))
        piece = bytes(64 * 1024)
        while sent[0] < 100 * MB:
            writer.write(piece)
            await writer.drain()
            sent[0] += len(piece)

    async with upstream(origin) as to, proxy(to) as port:
        with Traced() as traced:
            async with await Client.open(port, limit=64 * 1024) as client:
                await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                head = await client.reader.readuntil(b"\r\n\r\n")
                await still(sent)
                waiting = sent[0]
                received = 0
                while received < 100 * MB:  # now it reads
                    received += len(await client.reader.read(MB))
        assert head.startswith(b"HTTP/1.1 200") and received == sent[0] == 100 * MB
        assert waiting < 30 * MB  # what the sockets of two connections hold, where the rest waits
        assert traced.growth < BOUND, traced.growth


async def test_a_hundred_megabytes_to_a_slow_origin() -> None:
    go, taken, sent = asyncio.Event(), [0], [0]

    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await go.wait()
        while taken[0] < 100 * MB:
            taken[0] += len(await reader.read(MB))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with upstream(origin, limit=64 * 1024) as to, proxy(to) as port:
        with Traced() as traced:
            async with await Client.open(port) as client:
                await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (100 * MB))

                async def send() -> None:
                    piece = bytes(64 * 1024)
                    while sent[0] < 100 * MB:
                        await client.send(piece)
                        sent[0] += len(piece)

                sending = asyncio.create_task(send())
                await still(sent)
                waiting = sent[0]
                go.set()
                await sending
                answer = await client.answer()
        assert (answer.status, answer.body, taken[0]) == (200, b"ok", 100 * MB)
        assert waiting < 30 * MB
        assert traced.growth < BOUND, traced.growth


async def test_a_chunked_upload_of_which_nobody_knows_the_size() -> None:
    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        size = 0
        while (line := await reader.readuntil(b"\r\n")) != b"0\r\n":
            size += len(await reader.readexactly(int(line, 16) + 2)) - 2
        await reader.readexactly(2)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%08d" % size)

    async with upstream(origin, limit=MB) as to, proxy(to) as port:
        with Traced() as traced:
            async with await Client.open(port) as client:
                await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(640):
                    await client.send(b"8000\r\n" + bytes(32 * 1024) + b"\r\n")
                await client.send(b"0\r\n\r\n")
                answer = await client.answer()
        assert int(answer.body) == 20 * MB
        assert traced.growth < 3 * MB, traced.growth


async def test_a_client_that_reads_nothing_and_leaves_frees_everything() -> None:
    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(64 * 1024) + b"\r\n")
            await writer.drain()

    async with upstream(origin) as to, proxy(to) as port:
        before = len(asyncio.all_tasks())
        clients = [await Client.open(port, limit=1024) for _ in range(10)]
        for client in clients:
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: to.open == 10)
        await asyncio.sleep(0.1)
        for client in clients:
            client.writer.transport.abort()
        await until(lambda: to.open == 0)
        await settle()
        assert len(asyncio.all_tasks()) == before


async def test_the_buffer_towards_a_client_stays_near_its_mark() -> None:
    async def app(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield bytes(16 * 1024)

        return Response.stream(parts())

    async with serving(app) as (server, port), await Client.open(port, limit=1024) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: server.connections)
        await asyncio.sleep(0.2)
        (connection,) = server.connections
        assert connection.unsent <= HIGH_WATER + 32 * 1024


async def test_an_idle_connection_is_small() -> None:
    async def app(request: Request) -> Response:
        return Response.text("ok")

    count = 200
    async with serving(app) as (server, port):
        clients = [await Client.open(port) for _ in range(count)]
        for client in clients:
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.answer()).status == 200
        gc.collect()
        tracemalloc.start()
        more = [await Client.open(port) for _ in range(count)]
        await until(lambda: len(server.connections) == 2 * count)
        gc.collect()
        ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/wws/hosts/server/*")])
        tracemalloc.stop()
        used = sum(one.size for one in ours.statistics("filename"))
        assert used / count < 4096, used / count
        for client in [*clients, *more]:
            await client.close()
        await until(lambda: not server.connections)
