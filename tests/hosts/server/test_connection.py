"""A client connection as a client sees it, on real sockets; and its inner states, in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.hosts.server.wire import Answer, Client, InMemory, echo, exchange, parse, serving, settle, until
from wws.errors import Refusal
from wws.functions.refuse import refuse
from wws.hosts.server.limits import ServerLimits
from wws.http import Request, Response, Stream

pytestmark = pytest.mark.usefixtures("heads")

GET = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSE = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def numbered(n: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n


class Gate:
    """An app whose requests wait until they are let go; `running` and `cancelled` hold their targets."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.cancelled: list[str] = []
        self.waiting: dict[str, asyncio.Event] = {}

    async def __call__(self, request: Request) -> Response:
        self.running.append(request.target)
        event = self.waiting[request.target] = asyncio.Event()
        try:
            await event.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request.target)
            raise
        return Response.text(request.target)

    def release(self, target: str) -> None:
        self.waiting[target].set()


# keep-alive and order


async def test_many_requests_on_one_connection() -> None:
    async with serving(echo) as (server, port), await Client.open(port) as client:
        for n in range(20):
            await client.send(numbered(n))
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, f"GET /{n} a 0 ".encode())
            assert "connection" not in answer.headers and answer.headers["date"].endswith(" GMT")
        assert len(server.connections) == 1


async def test_the_client_asks_to_close() -> None:
    async with serving(echo) as (server, port):
        (answer,) = parse(await exchange(port, CLOSE))
        assert answer.headers["connection"] == "close"
        await until(lambda: not server.connections)


async def test_what_follows_a_request_to_close_is_not_answered() -> None:
    async with serving(echo) as (_, port):
        assert [one.body for one in parse(await exchange(port, GET + CLOSE + GET))] == [b"GET /1 a 0 ", b"GET /last a 0 "]


async def test_sixty_four_pipelined_requests_are_answered_in_order() -> None:
    count = ServerLimits().pipeline

    async def later_ones_are_quicker(request: Request) -> Response:
        await asyncio.sleep(0.002 if int(request.path[1:]) < 5 else 0)
        return Response.text(request.path)

    async with serving(later_ones_are_quicker) as (_, port), await Client.open(port) as client:
        await client.send(b"".join(numbered(n) for n in range(count)))
        bodies = [(await client.answer()).body.decode() for _ in range(count)]
        assert bodies == [f"/{n}" for n in range(count)]
        await client.send(GET)
        assert (await client.answer()).status == 200


async def test_too_many_pipelined_requests_end_in_a_refusal() -> None:
    wire = InMemory(echo, ServerLimits(pipeline=8))
    answers = await wire.ask(b"".join(numbered(n) for n in range(50)))
    assert [one.status for one in answers] == [200] * 8 + [503]
    assert answers[-1].headers["retry-after"] == "1" and wire.over


async def test_one_request_is_in_progress_at_a_time_and_the_rest_waits_unread() -> None:
    gate = Gate()
    wire = InMemory(gate)
    await wire.send(numbered(1) + numbered(2))
    await wire.send(b"GET /3 HT")  # read before the pause takes hold
    assert gate.running == ["/1"] and not wire.transport.reading
    gate.release("/1")
    await settle()
    assert gate.running == ["/1", "/2"] and wire.transport.reading
    await wire.send(b"TP/1.1\r\nHost: a\r\n\r\n")
    gate.release("/2")
    await settle()
    gate.release("/3")
    await settle()
    assert [one.body for one in wire.answers()] == [b"/1", b"/2", b"/3"]
    assert wire.transport.reading


async def test_a_body_that_still_arrives_behind_a_request_in_progress() -> None:
    gate = Gate()

    async def app(request: Request) -> Response:
        return await (echo(request) if request.method == "POST" else gate(request))

    async with serving(app) as (_, port), await Client.open(port) as client:
        await client.send(GET + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        await until(lambda: gate.running)
        gate.release("/1")
        assert (await client.answer()).body == b"/1"
        await client.send(b"world")
        assert (await client.answer()).body == b"POST / a 10 helloworld"


async def test_a_body_larger_than_the_buffer_in_one_read_leaves_the_connection_reading() -> None:
    body = b"x" * 200_000
    wire = InMemory(echo)
    answers = await wire.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + body, GET)
    assert [one.status for one in answers] == [200, 200]
    assert answers[0].body.startswith(b"POST / a 200000")


async def test_answers_in_advance_of_a_slow_reader_are_bounded() -> None:
    """A client that asks on and on and takes nothing is not served from memory."""
    answer = b"x" * 30_000

    async def large(request: Request) -> Response:
        return Response(answer)

    wire = InMemory(large)
    wire.transport.room = False
    for _ in range(100):
        if not wire.transport.reading:
            break
        await wire.send(GET * 4)
    assert not wire.transport.reading
    assert wire.transport.waiting < 64 * 1024 + 2 * len(answer)
    wire.transport.room = True
    while wire.transport.waiting:
        wire.transport.take()
        await settle()
    assert wire.transport.reading and {one.body for one in wire.answers()} == {answer}


# versions, methods, forms of target


async def test_an_http_1_0_client() -> None:
    async with serving(echo) as (_, port):
        (answer,) = parse(await exchange(port, b"GET /old HTTP/1.0\r\n\r\n"))
        assert (answer.body, answer.headers["connection"]) == (b"GET /old localhost 0 ", "close")
        (answer,) = parse(await exchange(port, b"GET /old HTTP/1.0\r\nHost: A.example\r\nConnection: keep-alive\r\n\r\n"))
        assert (answer.body, answer.headers["connection"]) == (b"GET /old a.example 0 ", "close")


async def test_an_http_1_0_client_gets_a_stream_that_ends_with_the_connection() -> None:
    async with serving(streaming) as (_, port):
        (answer,) = parse(await exchange(port, b"GET / HTTP/1.0\r\n\r\n"))
        assert answer.body == b"onetwothree" and "transfer-encoding" not in answer.headers


async def streaming(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one", b"two", b"", b"three"):
            await asyncio.sleep(0)
            yield part

    return Response.stream(parts())


async def test_a_streamed_answer_is_chunked_and_the_connection_goes_on() -> None:
    async with serving(streaming) as (_, port), await Client.open(port) as client:
        for _ in range(2):
            await client.send(GET)
            answer = await client.answer()
            assert answer.headers["transfer-encoding"] == "chunked" and answer.body == b"onetwothree"


@pytest.mark.parametrize("app", [echo, streaming])
async def test_head_has_the_head_and_no_body(app: object) -> None:
    async with serving(app) as (_, port), await Client.open(port) as client:  # type: ignore[arg-type]
        await client.send(b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        answer = await client.answer("HEAD")
        assert answer.status == 200 and answer.body == b""
        assert (await client.answer()).body in (b"GET /1 a 0 ", b"onetwothree")


async def test_the_length_that_head_announces() -> None:
    async def app(request: Request) -> Response:
        response = Response(b"12345" if request.path == "/whole" else b"")
        response.length = 70_000 if request.path == "/told" else None
        return response

    wire = InMemory(app)
    await wire.send(*[b"HEAD /%b HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in (b"whole", b"told", b"unknown")])
    lengths = [one.headers.get("content-length") for one in wire.answers("HEAD", "HEAD", "HEAD")]
    assert lengths == ["5", "70000", None]


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_that_have_no_body_have_no_framing(status: int) -> None:
    async def app(request: Request) -> Response:
        if request.path == "/stream":
            return Response.stream(nothing(), status)
        return Response(b"never sent", status)

    async def nothing() -> AsyncIterator[bytes]:
        yield b"never sent"

    wire = InMemory(app)
    answers = await wire.ask(GET, b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", GET)
    assert [one.status for one in answers] == [status] * 3
    assert all("content-length" not in one.headers and "transfer-encoding" not in one.headers for one in answers)


@pytest.mark.parametrize("status", [200, 299, 404, 418, 499, 599, 999])
async def test_any_status_of_three_digits(status: int) -> None:
    async def app(request: Request) -> Response:
        return Response(b"x", status)

    assert [one.status for one in await InMemory(app).ask(GET)] == [status]


async def test_upgrade_is_not_understood_and_the_connection_closes() -> None:
    async with serving(echo) as (_, port):
        upgrade = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        (answer,) = parse(await exchange(port, upgrade + b"\x81\x05hello" + GET))
        assert (answer.status, answer.headers["connection"], answer.body) == (200, "close", b"GET /ws a 0 ")


UPGRADE = b"POST /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
async def test_upgrade_with_a_body_as_javas_client_sends_it(body: bytes) -> None:
    message = UPGRADE + body
    for pieces in ([message, GET], [message + GET], [message[i : i + 1] for i in range(len(message))]):
        wire = InMemory(echo)
        (answer,) = await wire.ask(*pieces)
        assert answer.body == b"POST /h2c a 5 hello" and answer.headers["connection"] == "close" and wire.over


async def test_upgrade_with_a_body_that_ends_early_or_is_malformed() -> None:
    wire = InMemory(echo)
    assert await wire.ask(UPGRADE + b"Content-Length: 5\r\n\r\nhel") == []
    wire.transport.lose()
    await settle()
    wire = InMemory(limited)
    (answer,) = await wire.ask(UPGRADE + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", GET)
    assert answer.status == 400 and wire.over


async def test_upgrade_without_a_body() -> None:
    wire = InMemory(echo)
    (answer,) = await wire.ask(UPGRADE + b"Content-Length: 0\r\n\r\n" + GET, GET)
    assert answer.body == b"POST /h2c a 0 " and wire.over


# bodies


async def test_expect_continue_is_answered_when_the_body_is_wanted() -> None:
    gate = Gate()

    async def app(request: Request) -> Response:
        await gate(request)  # as auth and limits would take their time
        return await echo(request)

    wire = InMemory(app)
    head = b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n"
    assert await wire.ask(head) == []
    gate.release("/e")
    await settle()
    assert [one.status for one in wire.answers()] == [100]
    assert [one.status for one in await wire.ask(b"hello", GET[:4])] == [100, 200]


async def test_a_refusal_instead_of_continue() -> None:
    async def app(request: Request) -> Response:
        return Response.text("no", 401)

    async with serving(app) as (_, port):
        head = b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        answers = parse(await exchange(port, head))
        assert [(one.status, one.headers["connection"]) for one in answers] == [(401, "close")]


async def test_continue_is_not_said_where_it_is_not_needed() -> None:
    whole = b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"
    assert [one.status for one in await InMemory(echo).ask(whole)] == [200]
    old = b"POST /e HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    assert [one.status for one in await InMemory(echo).ask(old, b"hello")] == [200]
    unexpected = b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: miracles\r\n\r\n"
    assert [one.status for one in await InMemory(echo).ask(unexpected, b"hello")] == [200]


async def test_continue_is_not_said_within_an_answer() -> None:
    async def app(request: Request) -> Response:
        async def late() -> AsyncIterator[bytes]:
            yield b"begun "
            yield await request.bytes()

        return Response.stream(late())

    wire = InMemory(app)
    await wire.send(b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    (answer,) = await wire.ask(b"hello")
    assert answer.body == b"begun hello"


async def limited(request: Request) -> Response:
    """Takes 1,000 bytes, as a route with a limit would."""
    try:
        return Response.text(str(len(await request.bytes(1000))))
    except Refusal as refusal:
        return refuse(refusal, openai=False)


async def test_a_body_too_large_by_its_length_is_refused_before_it_comes() -> None:
    async with serving(limited) as (_, port), await Client.open(port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert await client.rest() == b""


async def test_a_body_too_large_by_its_chunks_is_refused_as_soon_as_it_is() -> None:
    async with serving(limited) as (_, port), await Client.open(port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await client.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n", b"1\r\nx\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")


async def test_a_body_of_just_the_limit() -> None:
    wire = InMemory(limited)
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n"
    plain = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    assert [one.body for one in await wire.ask(chunked, plain)] == [b"1000", b"1000"]


async def test_who_sends_a_large_body_to_a_refusal_reads_the_answer() -> None:
    """The bytes on their way are thrown away for a moment: a reset would destroy the answer."""
    size = 8 * 1024 * 1024
    async with serving(limited) as (_, port), await Client.open(port) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        client.writer.write(bytes(size))
        assert (await client.answer()).status == 413
        await client.writer.drain()
        assert await client.rest() == b""


async def test_an_answer_before_the_body_was_read_closes_the_connection() -> None:
    async def app(request: Request) -> Response:
        return Response.text("early")

    async with serving(app) as (_, port):
        message = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello"
        (answer,) = parse(await exchange(port, message, b"world" + GET, pause=0.01))
        assert (answer.body, answer.headers["connection"]) == (b"early", "close")


async def test_a_body_that_has_come_and_was_not_read_is_no_reason_to_close() -> None:
    async def app(request: Request) -> Response:
        return Response.text("ignored")

    wire = InMemory(app)
    answers = await wire.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", GET)
    assert [one.headers.get("connection") for one in answers] == [None, None]


async def test_a_body_that_ends_early_raises_and_never_looks_whole() -> None:
    seen: list[object] = []

    async def app(request: Request) -> Response:
        try:
            seen.append(await request.bytes())
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return Response.text("never")

    for head in (b"Content-Length: 10\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"):
        async with serving(app) as (server, port), await Client.open(port) as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + head)
            await settle()
            await client.close()
            await until(lambda: not server.connections)
    assert seen == ["cancelled", "cancelled"]


async def test_trailers_are_read_and_are_no_headers() -> None:
    seen: list[list[str]] = []

    async def app(request: Request) -> Response:
        await request.bytes()
        seen.append([name for name, _ in request.headers.items()])
        return Response.text("ok")

    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-User-Id: forged\r\n\r\n"
    assert [one.status for one in await InMemory(app).ask(chunked, GET)] == [200, 200]
    assert seen == [["host", "transfer-encoding"], ["host"]]


# the client goes away


async def test_a_client_that_leaves_cancels_its_request() -> None:
    gate = Gate()
    async with serving(gate) as (server, port):
        client = await Client.open(port)
        await client.send(GET)
        await until(lambda: gate.running)
        await client.close()
        await until(lambda: gate.cancelled)
        await until(lambda: not server.connections)
    assert gate.cancelled == gate.running and len(gate.running) == 1


async def test_a_client_that_leaves_by_a_reset_cancels_its_request() -> None:
    gate = Gate()
    async with serving(gate) as (_, port):
        client = await Client.open(port)
        await client.send(GET)
        await until(lambda: gate.running)
        client.writer.transport.abort()
        await until(lambda: gate.cancelled)
    assert gate.cancelled == gate.running and len(gate.running) == 1


async def test_a_client_that_half_closes_is_taken_for_gone() -> None:
    gate = Gate()
    async with serving(gate) as (_, port), await Client.open(port) as client:
        await client.send(GET)
        await until(lambda: gate.running)
        client.writer.write_eof()
        await until(lambda: gate.cancelled)
        assert await client.rest() == b""


async def test_a_client_that_half_closes_gets_what_is_answered_at_once() -> None:
    async with serving(echo) as (_, port), await Client.open(port) as client:
        await client.send(GET)
        client.writer.write_eof()
        assert [one.status for one in parse(await client.rest())] == [200]


async def test_a_client_that_leaves_ends_the_stream_it_was_sent() -> None:
    ended: list[str] = []
    outcomes: list[tuple[str, int]] = []

    async def app(request: Request) -> Response:
        async def endless() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"tick"
                    await asyncio.sleep(0.001)
            finally:
                ended.append("generator")

        response = Response.stream(endless())
        response.finish = lambda outcome, sent: outcomes.append((outcome, sent))
        return response

    async with serving(app) as (server, port):
        client = await Client.open(port)
        await client.send(GET)
        await client.reader.readuntil(b"tick")
        await client.close()
        await until(lambda: ended)
        await until(lambda: not server.connections)
    ((outcome, sent),) = outcomes
    assert outcome == "client_closed" and sent >= 4


async def test_a_request_that_answers_although_it_was_cancelled() -> None:
    outcomes: list[str] = []
    closed: list[bool] = []

    async def stubborn(request: Request) -> Response:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

        async def close() -> None:
            closed.append(True)

        response = Response(Stream(never(), close))
        response.finish = lambda outcome, sent: outcomes.append(outcome)
        return response

    async def never() -> AsyncIterator[bytes]:
        yield b"unread"

    wire = InMemory(stubborn)
    await wire.send(GET)
    wire.transport.lose()
    await settle()
    assert outcomes == ["client_closed"] and closed == [True]


# an app that fails


@pytest.mark.parametrize("waits", [False, True])
async def test_an_app_that_raises_is_a_plain_500(waits: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def app(request: Request) -> Response:
        if waits:
            await asyncio.sleep(0)
        if request.path == "/1":
            raise ValueError("a secret of the inside")
        return Response.text("fine")

    wire = InMemory(app)
    bad, good = await wire.ask(GET, numbered(2))
    assert bad.status == 500 and b"secret" not in bad.body and good.body == b"fine"
    assert "a secret of the inside" in caplog.text  # where the operator looks


async def test_a_request_that_cancels_itself_ends_the_connection() -> None:
    async def app(request: Request) -> Response:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    wire = InMemory(app)
    await wire.send(GET)
    assert wire.transport.aborted


async def test_a_failing_stream_is_cut_and_never_looks_whole(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[str] = []

    async def app(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun"
            raise ValueError("broken inside")

        response = Response.stream(parts())
        response.finish = lambda outcome, sent: outcomes.append(outcome)
        return response

    async with serving(app) as (_, port):
        data = await exchange(port, GET + GET)
    assert data.endswith(b"5\r\nbegun\r\n") and data.count(b"HTTP/1.1") == 1
    assert outcomes == ["error"] and "ValueError" in caplog.text and "broken inside" not in caplog.text


async def test_many_clients_at_once_each_get_their_own() -> None:
    async with serving(echo) as (server, port):

        async def one(n: int) -> list[Answer]:
            messages = [b"POST /%d-%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % (n, i) for i in range(10)]
            async with await Client.open(port) as client:
                await client.send(*messages)
                return [await client.answer() for _ in messages]

        results = await asyncio.gather(*[one(n) for n in range(50)])
        for n, answers in enumerate(results):
            assert [a.body for a in answers] == [f"POST /{n}-{i} a 3 abc".encode() for i in range(10)]
        await until(lambda: not server.connections)


# an app that answers what cannot be sent


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("status", [0, 42, 100, 101, 1000, -1])
async def test_a_status_that_ends_no_request(status: int, waits: bool, caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[str] = []

    async def app(request: Request) -> Response:
        if waits:
            await asyncio.sleep(0)
        response = Response(b"x", status if request.path == "/1" else 200)
        response.finish = lambda outcome, sent: outcomes.append(outcome)
        return response

    wire = InMemory(app)
    assert [one.status for one in await wire.ask(GET, numbered(2))] == [500, 200]
    assert outcomes == ["client_closed", "done"] and "unhandled error" in caplog.text


async def test_a_stream_with_a_status_that_ends_no_request() -> None:
    closed: list[bool] = []

    async def app(request: Request) -> Response:
        async def close() -> None:
            closed.append(True)

        async def parts() -> AsyncIterator[bytes]:
            yield b"never"

        return Response(Stream(parts(), close), 103 if request.path == "/1" else 200)

    wire = InMemory(app)
    first, second = await wire.ask(GET, numbered(2))
    assert (first.status, second.status, second.body) == (500, 200, b"never") and closed


async def test_notes_that_cannot_be_said_in_a_header() -> None:
    async def app(request: Request) -> Response:
        response = Response(b"x")
        response.notes = "x-wws-route-reason: \u2192\r\n" if request.path == "/1" else ""
        return response

    assert [one.status for one in await InMemory(app).ask(GET, numbered(2))] == [500, 200]


@pytest.mark.parametrize("name", ["content-length", "transfer-encoding", "connection", "Content-Length"])
async def test_framing_is_never_the_apps_to_say(name: str) -> None:
    async def app(request: Request) -> Response:
        headers = {name: "chunked" if name == "transfer-encoding" else "99", "x-a": "b"}
        if request.path == "/stream":
            return Response.stream(two(), headers=headers)
        return Response(b"12345", headers=headers)

    async def two() -> AsyncIterator[bytes]:
        yield b"123"
        yield b"45"

    answers = await InMemory(app).ask(GET, b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", GET)
    assert [(one.body, one.headers["x-a"]) for one in answers] == [(b"12345", "b")] * 3
