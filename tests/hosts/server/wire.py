"""The wire as tests see it: answers read by a parser of our own, a transport in memory, servers and upstreams on real sockets."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, Protocol

from wws.hosts.server.connection import Connection
from wws.hosts.server.limits import ServerLimits
from wws.hosts.server.server import App, Server
from wws.http import Request, Response

PATIENCE = 5.0
"""Seconds a test waits for what should come at once."""


class Answer(NamedTuple):
    """One answer as it was on the wire. Header names are lower case; of several with one name the values are joined."""

    status: int
    headers: dict[str, str]
    body: bytes


def parse(data: bytes, *methods: str) -> list[Answer]:
    """The answers in `data`, in order; `methods` are those of the requests (GET for the rest). 1xx answers count.

    Written for tests: raises where a strict reader would, and where an answer is cut.
    """
    answers: list[Answer] = []
    asked = list(methods)
    while data:
        head, found, data = data.partition(b"\r\n\r\n")
        assert found, f"a head that does not end: {head!r}"
        first, *lines = head.split(b"\r\n")
        version, status, _ = first.split(b" ", 2)
        assert version == b"HTTP/1.1"
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            assert colon and name == name.strip().lower()
            headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
        assert not ("content-length" in headers and "transfer-encoding" in headers)
        code = int(status)
        if code < 200:
            answers.append(Answer(code, headers, b""))
            continue
        method = asked.pop(0) if asked else "GET"
        body = b""
        if method == "HEAD" or code in (204, 304):
            pass
        elif headers.get("transfer-encoding") == "chunked":
            body, data = _unchunk(data)
        elif "content-length" in headers:
            size = int(headers["content-length"])
            assert len(data) >= size, f"{len(data)} of {size} bytes"
            body, data = data[:size], data[size:]
        else:
            assert headers.get("connection") == "close"
            body, data = data, b""
        answers.append(Answer(code, headers, body))
    return answers


def _unchunk(data: bytes) -> tuple[bytes, bytes]:
    parts: list[bytes] = []
    while True:
        line, found, data = data.partition(b"\r\n")
        assert found, "a chunked body that does not end"
        size = int(line, 16)
        if size == 0:
            assert data.startswith(b"\r\n")
            return b"".join(parts), data[2:]
        assert data[size : size + 2] == b"\r\n"
        parts.append(data[:size])
        data = data[size + 2 :]


class Told(Protocol):
    """What a transport tells."""

    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...


class MemoryTransport:
    """A transport that keeps what is written. `room` False: the other side takes nothing, as `take` does by hand."""

    def __init__(self, protocol: Told, peer: tuple[str, int] | None = ("192.0.2.1", 1)) -> None:
        self.protocol = protocol
        self.written = bytearray()
        self.waiting = 0  # bytes written and not taken, while there is no room
        self.room = True
        self.reading = True
        self.eof = False
        self.closed = False
        self.aborted = False
        self.high = 64 * 1024
        self._peer = peer
        self._full = False

    def write(self, data: bytes) -> None:
        assert not self.eof, "written behind the end"
        if self.aborted:
            return
        self.written += data
        if not self.room:
            self.waiting += len(data)
            if self.waiting > self.high and not self._full:
                self._full = True
                self.protocol.pause_writing()

    def take(self, size: int | None = None) -> None:
        """The other side takes `size` bytes, or all of them."""
        self.waiting = 0 if size is None else max(0, self.waiting - size)
        if self._full and self.waiting <= self.high // 4:
            self._full = False
            self.protocol.resume_writing()

    def close(self) -> None:
        self.closed = True
        self.reading = False

    def abort(self) -> None:
        self.closed = self.aborted = True
        self.reading = False

    def lose(self) -> None:
        """What the loop does when the connection is gone."""
        self.closed = True
        self.protocol.connection_lost(None)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        if not self.closed:
            self.reading = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._peer if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high if high is not None else self.high

    def get_write_buffer_size(self) -> int:
        return self.waiting


class InMemory:
    """A connection of a server that does not listen, fed by hand."""

    def __init__(self, app: App, limits: ServerLimits | None = None, **options: Any) -> None:
        self.server = Server(app, asyncio.get_running_loop(), limits=limits, **options)
        self.connection = Connection(self.server)
        self.transport = MemoryTransport(self.connection)
        self.connection.connection_made(self.transport)

    async def send(self, *pieces: bytes) -> None:
        """Gives the pieces one by one, as a loop would: not while reading is paused, not after the end."""
        for piece in pieces:
            for _ in range(100):
                if self.transport.reading:
                    break
                await settle(1)
            if self.transport.closed:
                return
            self.connection.data_received(piece)
        await settle()

    async def ask(self, *pieces: bytes) -> list[Answer]:
        """Sends, and gives the answers so far."""
        await self.send(*pieces)
        return self.answers()

    def answers(self, *methods: str) -> list[Answer]:
        return parse(bytes(self.transport.written), *methods)

    @property
    def over(self) -> bool:
        """Whether no further request can be answered."""
        return self.transport.closed or self.transport.eof


async def settle(turns: int = 12) -> None:
    """Lets the loop run what is ready."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Waits until `condition` holds; fails after PATIENCE."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while not condition():
        assert loop.time() < end, f"never happened: {what or condition}"
        await asyncio.sleep(0.002)


@asynccontextmanager
async def serving(app: App, address: str = "127.0.0.1:0", **options: Any) -> AsyncIterator[tuple[Server, int]]:
    """A server on a real socket, and its port (0 for a unix socket)."""
    server = Server(app, asyncio.get_running_loop(), **options)
    bound = await server.listen(address)
    try:
        yield server, 0 if bound.startswith("unix:") else int(bound.rpartition(":")[2])
    finally:
        await server.stop(0.0)
        await settle()


class Client:
    """A raw client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, host: str = "127.0.0.1", **options: Any) -> Client:
        return cls(*await asyncio.open_connection(host, port, **options))

    @classmethod
    async def open_unix(cls, path: str) -> Client:
        return cls(*await asyncio.open_unix_connection(path))

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self, method: str = "GET") -> Answer:
        """One answer, leaving what follows unread."""
        async with asyncio.timeout(PATIENCE):
            data = await self.reader.readuntil(b"\r\n\r\n")
            lower = data.lower()
            code = int(data[9:12])
            if method == "HEAD" or code in (204, 304) or code < 200:
                pass
            elif b"transfer-encoding: chunked" in lower:
                while True:
                    line = await self.reader.readuntil(b"\r\n")
                    data += line + await self.reader.readexactly(int(line, 16) + 2)
                    if line == b"0\r\n":
                        break
            elif b"content-length: " in lower:
                size = int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])
                data += await self.reader.readexactly(size)
            else:
                data += await self.reader.read()
            return parse(data, method)[0]

    async def rest(self) -> bytes:
        """Everything up to the end of the connection; a reset counts as one."""
        data = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while piece := await self.reader.read(65536):
                    data += piece
            except ConnectionError:
                pass
        return data

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


async def exchange(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Sends the pieces on a connection of its own, and gives all that comes back until the server closes it."""
    async with await Client.open(port) as client:
        for piece in pieces:
            client.writer.write(piece)
            try:
                await client.writer.drain()
            except ConnectionError:
                break
            if pause:
                await asyncio.sleep(pause)
        return await client.rest()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Upstream:
    """A raw server for the upstream side: `handler` has each connection; `accepted` counts them, `open` those that last."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.accepted = 0
        self.open = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.accepted += 1
        self.open += 1
        try:
            await self.handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except asyncio.CancelledError:
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def reset(self) -> None:
        """Resets every connection."""
        for writer in list(self._writers):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await until(lambda: not self._tasks, "the upstream's connections end")


@asynccontextmanager
async def upstream(handler: Handler, **options: Any) -> AsyncIterator[Upstream]:
    """An upstream on a loopback port."""
    self = Upstream(handler)
    server = await asyncio.start_server(self.connection, "127.0.0.1", 0, **options)
    self.port = server.sockets[0].getsockname()[1]
    try:
        yield self
    finally:
        server.close()
        await self.stop()


def answering(*answers: bytes) -> Handler:
    """Answers the n-th request of each connection with the n-th of `answers` (then the last); reads each head and no body."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given = 0
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answers[min(given, len(answers) - 1)])
            given += 1

    return handler


def every_cut(message: bytes, whole: int = 400) -> list[bytes]:
    """Every byte a piece of its own, for the first `whole` of them."""
    return [*(message[i : i + 1] for i in range(min(len(message), whole))), *([message[whole:]] if message[whole:] else [])]


def pieces_of(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`data` cut at the given places."""
    places = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in zip(places, places[1:], strict=False) if b > a]


async def echo(request: Request) -> Response:
    """Says what was understood of the request: method, target, authority, and the body's size and text."""
    body = await request.bytes()
    return Response.text(f"{request.method} {request.target} {request.authority} {len(body)} {body[:64].decode('latin-1')}")
