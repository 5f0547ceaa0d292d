"""What an upstream may send: the right answer or the right error, and never a doubtful connection used again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from tests.hosts.server.wire import PATIENCE, Handler, MemoryTransport, Upstream, answering, every_cut, settle, until, upstream
from wws.bindings import Endpoint
from wws.core.policy import Timeouts
from wws.errors import Refusal, UpstreamCut, UpstreamError, UpstreamMalformed, UpstreamTimeout
from wws.hosts.server.dialer import Dialer
from wws.hosts.server.exchange import UpstreamConnection
from wws.hosts.server.limits import UpstreamLimits
from wws.hosts.server.pool import Pool
from wws.http import Body, Pair, Response, Stream

pytestmark = pytest.mark.usefixtures("heads")

TIMEOUTS = Timeouts(connect=2.0, first_byte=10.0, idle=30.0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Asker:
    """Asks one upstream through a dialer of its own."""

    def __init__(self, to: Upstream) -> None:
        self.to = to
        self.dialer = Dialer(asyncio.get_running_loop())

    async def send(
        self,
        method: str = "GET",
        target: str = "/",
        body: bytes | Body = b"",
        headers: list[Pair] | None = None,
        timeouts: Timeouts = TIMEOUTS,
        deadline: float | None = None,
    ) -> Response:
        async with asyncio.timeout(PATIENCE):
            return await self.dialer.send(Endpoint(self.to.url), method, target, headers or [], body, timeouts, deadline)

    async def whole(self, method: str = "GET", target: str = "/", body: bytes | Body = b"") -> tuple[int, bytes]:
        """Status and body."""
        response = await self.send(method, target, body)
        return response.status, await read(response)


async def read(response: Response) -> bytes:
    """The body of a response, whatever form it has."""
    if isinstance(response.body, bytes):
        return response.body
    async with asyncio.timeout(PATIENCE):
        return b"".join([part async for part in response.body])


class Good(NamedTuple):
    """An acceptable answer: what is understood of it, and whether the connection may be used again."""

    wire: bytes
    status: int
    body: bytes
    again: bool = True
    method: str = "GET"


GOOD: dict[str, Good] = {
    "with a length": Good(OK, 200, b"hello"),
    "length zero": Good(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
    "chunked": Good(CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 200, b"hello world"),
    "chunked with extensions and trailers": Good(CHUNKED + b"5;a=b\r\nhello\r\n0\r\nX-T: y\r\n\r\n", 200, b"hello"),
    "until the end of the connection": Good(b"HTTP/1.1 200 OK\r\n\r\nhello", 200, b"hello", False),
    "HTTP/1.0": Good(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", False),
    "HTTP/1.0 kept": Good(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
    "connection: close": Good(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", False),
    "no reason phrase": Good(b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
    "204": Good(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "304 with the length of what it stands for": Good(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
    "status 999": Good(b"HTTP/1.1 999 Odd\r\nContent-Length: 5\r\n\r\nhello", 999, b"hello"),
    "status 299": Good(b"HTTP/1.1 299 Odd\r\nContent-Length: 5\r\n\r\nhello", 299, b"hello"),
    "100 before the answer": Good(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"hello"),
    "103 with fields before the answer": Good(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, 200, b"hello"),
    "several interim answers": Good(b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + OK, 200, b"hello"),
    "HEAD with a length": Good(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, b"", True, "HEAD"),
    "HEAD of a chunked answer": Good(CHUNKED, 200, b"", True, "HEAD"),
    "HEAD without framing": Good(b"HTTP/1.1 200 OK\r\n\r\n", 200, b"", False, "HEAD"),
    "HEAD and an interim answer": Good(
        b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\n", 404, b"", True, "HEAD"
    ),
    "extra bytes": Good(OK + b"garbage", 200, b"hello", False),
    "a second answer": Good(OK + OK.replace(b"hello", b"evil!"), 200, b"hello", False),
    "the beginning of a second answer": Good(OK + b"HTTP/1.1 2", 200, b"hello", False),
    "a second answer behind a chunked one": Good(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + OK, 200, b"hello", False),
    "a body behind the answer to HEAD": Good(OK, 200, b"", False, "HEAD"),
    "a second answer behind the one to HEAD": Good(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + OK, 200, b"", False, "HEAD"),
    "a body behind 204": Good(b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", 204, b"", False),
    "a body behind 304": Good(b"HTTP/1.1 304 No\r\n\r\nhello", 304, b"", False),
}
BAD: dict[str, bytes] = {
    "two lengths that differ": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two lengths that agree": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
    "a signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
    "a length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
    "an empty length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello",
    "a length beyond 64 bits": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two codings": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding that is not chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    "a coding before chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "101 without Upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "status 099": b"HTTP/1.1 099 Odd\r\nContent-Length: 5\r\n\r\nhello",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello",
    "status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello",
    "another version": b"HTTP/3.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "garbage": b"220 mail.example ESMTP\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
    "a folded field": b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 5\r\n\r\nhello",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "bare CR in a value": b"HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 5\r\n\r\nhello",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 5\r\n\r\nhello",
    "header block of 65 KiB": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 65 * 1024 + b"\r\nContent-Length: 5\r\n\r\nhello",
    "interim answers without an end": b"HTTP/1.1 100 Continue\r\n\r\n" * 3000,
    "a head without an end": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 9000,
}
BAD_BODIES: dict[str, bytes] = {
    "chunk size that is none": b"zz\r\nhello\r\n0\r\n\r\n",
    "chunk size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "longer than its size": b"5\r\nhello!\r\n0\r\n\r\n",
    "LF-only chunks": b"5\nhello\n0\n\n",
    "LF at the end": b"5\r\nhello\r\n0\r\n\n",
    "101 trailers": b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 101 + b"Z: on and on",
    "trailer of 600 KiB": b"5\r\nhello\r\n0\r\nX: " + b"y" * 600 * 1024 + b" on and on",
    "extension of 600 KiB": b"5;" + b"a" * 600 * 1024 + b" on and on",
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("cut", [False, True])
async def test_an_acceptable_answer(name: str, cut: bool) -> None:
    good = GOOD[name]
    async with upstream(in_pieces(good.wire, cut)) as to:
        asker = Asker(to)
        assert await asker.whole(good.method) == (good.status, good.body)
        # What is cut comes late, when the answer has been taken: then the surplus is found on a connection that is kept.
        await until(lambda: asker.dialer.open_connections == int(good.again), name)
        assert await asker.whole(good.method) == (good.status, good.body)
        assert to.accepted == (1 if good.again else 2)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("cut", [False, True])
async def test_an_answer_that_is_not_acceptable(name: str, cut: bool) -> None:
    async with upstream(in_pieces(BAD[name], cut)) as to:
        asker = Asker(to)
        with pytest.raises(UpstreamMalformed):
            await asker.whole()
        await until(lambda: not asker.dialer.open_connections)
        assert to.accepted == 1


@pytest.mark.parametrize("name", BAD_BODIES)
@pytest.mark.parametrize("cut", [False, True])
async def test_a_body_that_is_not_acceptable(name: str, cut: bool) -> None:
    async with upstream(in_pieces(CHUNKED + BAD_BODIES[name], cut)) as to:
        asker = Asker(to)
        with pytest.raises(UpstreamMalformed):
            await asker.whole()
        await until(lambda: not asker.dialer.open_connections)


def in_pieces(wire: bytes, cut: bool) -> Handler:
    """Answers each request with `wire`, whole or in small pieces; closes where only that ends the answer."""
    ends = b"\r\n\r\n" in wire and b"ontent-" not in wire and b"ransfer-" not in wire and wire.startswith(b"HTTP/1.1 200")

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            for piece in every_cut(wire, 300) if cut else [wire]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if ends and not head.startswith(b"HEAD"):
                return

    return handler


# an answer that ends early


@pytest.mark.parametrize(
    ("wire", "answered"),
    [
        (b"", False),
        (b"HTTP/1.1 2", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", True),
        (CHUNKED + b"5\r\nhello\r\n", True),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", True),
        (CHUNKED + b"5\r\nhel", True),
    ],
)
async def test_an_answer_that_ends_early_is_cut(wire: bytes, answered: bool) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(wire)
        await writer.drain()

    async with upstream(handler) as to:
        asker = Asker(to)
        with pytest.raises(UpstreamCut) as caught:
            await asker.whole()
        assert caught.value.answered is answered
        await until(lambda: not asker.dialer.open_connections)


async def test_a_reset_ends_an_answer_that_only_its_connection_would_end() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await writer.drain()
        await reader.readexactly(1)

    async with upstream(handler) as to:
        asker = Asker(to)
        response = await asker.send()
        assert isinstance(response.body, Stream)
        await to.reset()
        with pytest.raises(UpstreamCut):
            await read(response)


# what is sent


async def test_the_request_on_the_wire() -> None:
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            size = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            seen.append(head + await reader.readexactly(int(size or b"0")))
            writer.write(OK)

    async with upstream(handler) as to:
        asker = Asker(to)
        host = f"host: 127.0.0.1:{to.port}\r\n".encode()
        await asker.send("GET", "/a?b=c", headers=[(b"x-a", b"b")])
        await asker.send("POST", "/p", b"hello")
        await asker.send("POST", "/empty", b"")
        await asker.send("DELETE", "/d")
        await asker.send("PUT", "/p", Body(b"whole"))
        assert to.accepted == 1
    assert seen == [
        b"GET /a?b=c HTTP/1.1\r\n" + host + b"x-a: b\r\n\r\n",
        b"POST /p HTTP/1.1\r\n" + host + b"content-length: 5\r\n\r\nhello",
        b"POST /empty HTTP/1.1\r\n" + host + b"content-length: 0\r\n\r\n",
        b"DELETE /d HTTP/1.1\r\n" + host + b"\r\n",
        b"PUT /p HTTP/1.1\r\n" + host + b"content-length: 5\r\n\r\nwhole",
    ]


class Arriving(Body):
    """A body that still arrives: each item is a piece, or an error to raise."""

    def __init__(self, *pieces: bytes | Exception, length: int | None = None, wait: asyncio.Event | None = None) -> None:
        super().__init__()
        self.length = length
        self._items = pieces
        self._wait = wait

    def ready(self) -> bytes | None:
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        for item in self._items:
            if isinstance(item, Exception):
                raise item
            yield item
            await asyncio.sleep(0)
        if self._wait is not None:
            await self._wait.wait()


def recording(seen: list[bytes], end: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            data = await reader.readuntil(end)
            seen.append(data.partition(b"host")[0] + data.partition(b"\r\n\r\n")[2])
            writer.write(OK)

    return handler


async def test_a_body_that_arrives_goes_on_with_our_own_framing() -> None:
    seen: list[bytes] = []
    async with upstream(recording(seen, b"0\r\n\r\n")) as to:
        asker = Asker(to)
        for _ in range(2):
            assert await asker.whole("POST", "/c", Arriving(b"hello", b" world")) == (200, b"hello")
        assert to.accepted == 1
    assert seen == [b"POST /c HTTP/1.1\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"] * 2


async def test_a_body_of_known_length_that_arrives() -> None:
    seen: list[bytes] = []
    async with upstream(recording(seen, b" world")) as to:
        assert await Asker(to).whole("POST", "/c", Arriving(b"hello", b" world", length=11)) == (200, b"hello")
    assert seen == [b"POST /c HTTP/1.1\r\nhello world"]


async def test_an_empty_piece_is_not_the_last_chunk() -> None:
    seen: list[bytes] = []
    async with upstream(recording(seen, b"0\r\n\r\n")) as to:
        assert await Asker(to).whole("POST", "/c", Arriving(b"", b"hello", b"", b"!")) == (200, b"hello")
    assert seen == [b"POST /c HTTP/1.1\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"]


@pytest.mark.parametrize("length", [4, 6])
async def test_a_body_that_is_not_as_long_as_it_said_ends_the_connection(length: int) -> None:
    """The rest of it, or of the next request, would be taken for another."""
    async with upstream(silent()) as to:
        asker = Asker(to)
        with pytest.raises(ValueError, match="as long"):
            await asker.whole("POST", "/c", Arriving(b"hello", length=length))
        await until(lambda: not to.open and not asker.dialer.open_connections)


async def test_a_body_that_fails_fails_the_exchange_with_its_own_reason() -> None:
    async with upstream(answering(OK)) as to:
        asker = Asker(to)
        # no answer before the whole body
        to.handler = recording([], b"0\r\n\r\n")
        with pytest.raises(Refusal) as caught:
            await asker.whole("POST", "/c", Arriving(b"hello", Refusal("request_timeout")))
        assert caught.value.code == "request_timeout"
        await until(lambda: not asker.dialer.open_connections)
        await until(lambda: not to.open)


async def test_an_answer_before_the_body_was_sent_is_given_and_the_connection_is_not_used_again() -> None:
    async with upstream(answering(OK)) as to:
        asker = Asker(to)
        never = asyncio.Event()
        assert await asker.whole("POST", "/c", Arriving(b"hello", wait=never)) == (200, b"hello")
        await until(lambda: not asker.dialer.open_connections)


async def test_a_large_body_that_was_not_taken_before_the_answer() -> None:
    """The rest of it would stand before the next request."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.sleep(60)

    async with upstream(handler, limit=1024) as to:
        asker = Asker(to)
        assert await asker.whole("POST", "/c", bytes(32 * 1024 * 1024)) == (200, b"hello")
        await until(lambda: not asker.dialer.open_connections)


# timers, by a time made up


def silent(*first: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for data in first:
            writer.write(data)
        await reader.read()

    return handler


async def due(asker: Asker, asking: asyncio.Task[Response], seconds: float) -> bool:
    """Whether the exchange has ended when `seconds` have passed."""
    asker.dialer.tick(asyncio.get_running_loop().time() + seconds)
    await settle(3)
    return asking.done()


async def test_the_first_byte_is_due() -> None:
    async with upstream(silent()) as to:
        asker = Asker(to)
        asking = asyncio.create_task(asker.send(timeouts=Timeouts(first_byte=5.0)))
        await until(lambda: to.open)
        await settle()
        assert not await due(asker, asking, 4.5) and await due(asker, asking, 5.5)
        error = asking.exception()
        assert isinstance(error, UpstreamTimeout) and error.phase == "first_byte"
        await until(lambda: not to.open)


async def test_half_a_head_is_no_first_byte() -> None:
    async with upstream(silent(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")) as to:
        asker = Asker(to)
        asking = asyncio.create_task(asker.send(timeouts=Timeouts(first_byte=5.0)))
        await until(lambda: to.open)
        await asyncio.sleep(0.02)
        assert await due(asker, asking, 5.5)
        assert isinstance(asking.exception(), UpstreamTimeout)


async def test_the_rest_is_due() -> None:
    async with upstream(silent(CHUNKED, b"5\r\nhello\r\n")) as to:
        asker = Asker(to)
        response = await asker.send(timeouts=Timeouts(first_byte=100.0, idle=5.0))
        reading = asyncio.create_task(read(response))
        await asyncio.sleep(0.02)
        asker.dialer.tick(asyncio.get_running_loop().time() + 4.5)
        await settle()
        assert not reading.done()
        asker.dialer.tick(asyncio.get_running_loop().time() + 5.5)
        with pytest.raises(UpstreamTimeout) as caught:
            await reading
        assert caught.value.phase == "idle"
        await until(lambda: not to.open)


async def test_the_whole_is_due() -> None:
    loop = asyncio.get_running_loop()
    async with upstream(silent(CHUNKED, b"5\r\nhello\r\n")) as to:
        asker = Asker(to)
        response = await asker.send(timeouts=Timeouts(first_byte=100.0, idle=100.0), deadline=loop.time() + 20.0)
        asker.dialer.tick(loop.time() + 19.0)
        assert asker.dialer.open_connections == 1
        asker.dialer.tick(loop.time() + 21.0)
        with pytest.raises(UpstreamTimeout) as caught:
            await read(response)
        assert caught.value.phase == "total"


async def test_a_deadline_that_has_passed() -> None:
    async with upstream(answering(OK)) as to:
        with pytest.raises(UpstreamTimeout) as caught:
            await Asker(to).send(deadline=asyncio.get_running_loop().time() - 1.0)
        assert caught.value.phase == "total" and to.accepted == 0


async def test_a_slow_uploader_is_not_the_upstreams_fault() -> None:
    seen: list[bytes] = []
    go = asyncio.Event()
    async with upstream(recording(seen, b"0\r\n\r\n")) as to:
        asker = Asker(to)
        body = Arriving(b"hello", wait=go)
        asking = asyncio.create_task(asker.send("POST", "/", body, timeouts=Timeouts(first_byte=5.0)))
        await until(lambda: to.open)
        await settle()
        assert not await due(asker, asking, 100.0)
        go.set()
        response = await asking
        assert await read(response) == b"hello"


async def test_the_first_byte_is_due_after_the_upload() -> None:
    async with upstream(silent()) as to:
        asker = Asker(to)
        asking = asyncio.create_task(asker.send("POST", "/", Arriving(b"hello"), timeouts=Timeouts(first_byte=5.0)))
        await until(lambda: to.open)
        await settle(20)
        assert not await due(asker, asking, 4.5) and await due(asker, asking, 5.5)
        error = asking.exception()
        assert isinstance(error, UpstreamTimeout) and error.phase == "first_byte"


async def test_an_upstream_that_does_not_take_the_upload_is_silent_too() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with upstream(deaf, limit=1024) as to:
        asker = Asker(to)
        pieces = [bytes(1024 * 1024)] * 64
        asking = asyncio.create_task(asker.send("POST", "/", Arriving(*pieces), timeouts=Timeouts(idle=5.0)))
        await until(lambda: to.open)
        await asyncio.sleep(0.1)
        assert not await due(asker, asking, 4.0) and await due(asker, asking, 5.5)
        error = asking.exception()
        assert isinstance(error, UpstreamTimeout) and error.phase == "idle"


# streams


def endless(size: int, counted: list[int]) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        piece = b"%x\r\n%b\r\n" % (size, bytes(size))
        while True:
            writer.write(piece)
            await writer.drain()
            counted[0] += size

    return handler


async def test_a_stream_that_nobody_reads_is_not_read_ahead_without_bound() -> None:
    counted = [0]
    async with upstream(endless(16 * 1024, counted)) as to:
        asker = Asker(to)
        response = await asker.send()
        before = -1
        while before != counted[0]:  # what fits into the sockets, then nothing more
            before = counted[0]
            await asyncio.sleep(0.05)
        assert isinstance(response.body, Stream)
        taken = 0
        async for part in response.body:
            taken += len(part)
            assert len(part) < 512 * 1024  # what was kept for us: the high-water mark and one read
            if taken > 4 * 1024 * 1024:
                break
        asker.dialer.tick(asyncio.get_running_loop().time() + TIMEOUTS.idle - 1)
        await response.body.aclose()
        await until(lambda: not to.open)
        assert not asker.dialer.open_connections


async def test_a_paused_upstream_is_not_taken_for_silent() -> None:
    async with upstream(endless(16 * 1024, [0])) as to:
        asker = Asker(to)
        response = await asker.send(timeouts=Timeouts(idle=5.0))
        await asyncio.sleep(0.05)
        asker.dialer.tick(asyncio.get_running_loop().time() + 1000.0)
        assert asker.dialer.open_connections == 1
        assert isinstance(response.body, Stream)
        async for _ in response.body:
            break
        await response.body.aclose()


async def test_closing_a_stream_that_has_ended_keeps_its_connection() -> None:
    async with upstream(answering(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n")) as to:
        asker = Asker(to)
        for _ in range(3):
            response = await asker.send()
            assert await read(response) == b"hello"
            if isinstance(response.body, Stream):
                await response.body.aclose()
        assert to.accepted == 1


async def test_trailers_of_an_answer_are_no_headers() -> None:
    wire = CHUNKED + b"5\r\nhello\r\n0\r\nSet-Cookie: a=b\r\nX-User-Id: 1\r\n\r\n"
    async with upstream(answering(wire)) as to:
        asker = Asker(to)
        for _ in range(2):
            response = await asker.send()
            assert [name for name, _ in response.headers.items()] == ["transfer-encoding"]
            assert await read(response) == b"hello"


async def test_the_length_of_an_answer_is_known() -> None:
    async with upstream(answering(OK, CHUNKED + b"0\r\n\r\n")) as to:
        asker = Asker(to)
        assert (await asker.send()).length == 5
        assert (await asker.send()).length is None
    async with upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n")) as to:
        response = await Asker(to).send("HEAD")
        assert (response.length, response.body) == (70_000, b"")


# nobody wants the answer any more


async def test_a_cancelled_exchange_closes_the_connection_at_once() -> None:
    async with upstream(silent()) as to:
        asker = Asker(to)
        asking = asyncio.create_task(asker.send())
        await until(lambda: to.open)
        await settle()
        asking.cancel()
        await until(lambda: not to.open)
        assert not asker.dialer.open_connections
        with pytest.raises(asyncio.CancelledError):
            await asking


async def asked_in_memory() -> tuple[Dialer, UpstreamConnection, MemoryTransport, asyncio.Task[Response]]:
    """A request that is on its way over a kept connection."""
    loop = asyncio.get_running_loop()
    endpoint, dialer = Endpoint("http://127.0.0.1:1"), Dialer(loop)
    pool = dialer.pools[endpoint.origin] = Pool(endpoint, loop, UpstreamLimits(), None)
    connection = UpstreamConnection(pool, loop)
    transport = MemoryTransport(connection)
    connection.connection_made(transport)
    pool.connections.add(connection)
    pool.open = 1
    pool.release(connection)
    asking = asyncio.ensure_future(dialer.send(endpoint, "GET", "/", [], b"", TIMEOUTS))
    await settle()
    assert transport.written.startswith(b"GET / HTTP/1.1\r\n") and not pool.idle
    return dialer, connection, transport, asking


async def test_a_cancellation_that_comes_with_the_answer_leaves_the_next_exchange_alone() -> None:
    dialer, connection, transport, asking = await asked_in_memory()
    (pool,) = dialer.pools.values()
    connection.data_received(OK)  # the answer is there, and its reader has not run yet
    assert pool.take() is connection
    answer = connection.exchange(b"GET /2 HTTP/1.1\r\n", b"", "GET", TIMEOUTS, float("inf"))
    asking.cancel()
    await settle()
    assert asking.cancelled() and not transport.aborted
    connection.data_received(OK)
    assert await read(await answer) == b"hello"


async def test_a_stream_that_comes_with_the_cancellation_is_closed() -> None:
    _, connection, transport, asking = await asked_in_memory()
    connection.data_received(CHUNKED)
    asking.cancel()
    await settle()
    assert asking.cancelled() and transport.aborted and connection.broken


async def test_a_whole_answer_that_comes_after_the_cancellation_leaves_the_next_exchange_alone() -> None:
    dialer, connection, transport, asking = await asked_in_memory()
    (pool,) = dialer.pools.values()
    asking.cancel()
    connection.data_received(OK)
    assert pool.take() is connection
    answer = connection.exchange(b"GET /2 HTTP/1.1\r\n", b"", "GET", TIMEOUTS, float("inf"))
    await settle()
    assert asking.cancelled() and not transport.aborted
    connection.data_received(OK)
    assert await read(await answer) == b"hello"


async def test_a_stream_that_comes_after_the_cancellation_is_closed() -> None:
    _, connection, transport, asking = await asked_in_memory()
    asking.cancel()
    connection.data_received(CHUNKED)
    await settle()
    assert asking.cancelled() and transport.aborted and connection.broken


async def test_bytes_that_nobody_asked_for_end_a_kept_connection() -> None:
    _, connection, transport, asking = await asked_in_memory()
    connection.data_received(OK)
    await asking
    connection.data_received(OK)
    assert transport.aborted and connection.broken


async def test_an_exchange_needs_a_connection_that_is_free() -> None:
    _, connection, transport, asking = await asked_in_memory()
    with pytest.raises(RuntimeError):
        connection.exchange(b"GET / HTTP/1.1\r\n", b"", "GET", TIMEOUTS, float("inf"))
    transport.lose()
    with pytest.raises(RuntimeError):
        connection.exchange(b"GET / HTTP/1.1\r\n", b"", "GET", TIMEOUTS, float("inf"))
    asking.cancel()


# a thousand


async def test_a_thousand_exchanges_of_all_kinds_leave_nothing_behind() -> None:
    kinds = [
        OK,
        CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"nonsense",
        OK + b"more",
        CHUNKED + b"5\r\nhe",
        b"",
    ]

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            wire = kinds[int(head[5:6])]
            writer.write(wire)
            if wire in (b"", kinds[5]):
                return

    async with upstream(handler) as to:
        asker = Asker(to)
        outcomes: dict[str, int] = {}

        async def one(n: int) -> None:
            try:
                async with asyncio.timeout(20):
                    await asker.whole("GET", f"/{n % len(kinds)}")
                outcome = "ok"
            except UpstreamError as error:
                outcome = type(error).__name__
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

        for start in range(0, 1001, 91):
            await asyncio.gather(*[one(n) for n in range(start, min(start + 91, 1001))])
        assert outcomes == {"ok": 4 * 143, "UpstreamMalformed": 143, "UpstreamCut": 2 * 143}
        await until(lambda: to.open == asker.dialer.open_connections)
        for pool in asker.dialer.pools.values():
            assert pool.open == len(pool.connections) == pool.idle
        asker.dialer.close()
        await until(lambda: not to.open and not asker.dialer.open_connections)
