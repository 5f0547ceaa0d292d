"""A streamed answer on its way to one client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.hosts.server.wire import InMemory, parse, settle
from wws.errors import UpstreamCut, UpstreamError, UpstreamTimeout
from wws.hosts.server.limits import HIGH_WATER
from wws.hosts.server.pump import Piped, Sink
from wws.http import Outcome, Request, Response, Stream

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Source(Piped):
    """A piped stream fed by hand."""

    __slots__ = ("calls", "sink")

    def __init__(self) -> None:
        super().__init__(nothing())
        self.sink: Sink | None = None
        self.calls: list[str] = []

    def pipe(self, sink: Sink) -> None:
        self.sink = sink
        self.calls.append("pipe")

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")

    def cancel(self) -> None:
        self.calls.append("cancel")
        self.sink = None

    def feed(self, *pieces: bytes) -> None:
        assert self.sink is not None
        for piece in pieces:
            self.sink.feed(piece)

    def end(self, error: Exception | None = None) -> None:
        assert self.sink is not None
        self.sink.end(error)


async def nothing() -> AsyncIterator[bytes]:
    for piece in list[bytes]():
        yield piece


class Upper:
    """A transform: upper case, and a last word that says how it ended; it swallows `-`."""

    def __init__(self, last: bytes = b"") -> None:
        self.ends: list[Outcome] = []
        self._last = last

    def feed(self, chunk: bytes) -> bytes:
        return chunk.replace(b"-", b"").upper()

    def end(self, outcome: Outcome) -> bytes:
        self.ends.append(outcome)
        return self._last


class Sent:
    """One answer of `stream` over a connection in memory, and how it ended."""

    def __init__(self, stream: Stream, length: int | None = None) -> None:
        self.outcomes: list[tuple[Outcome, int]] = []
        self.stream = stream
        self._length = length
        self.wire = InMemory(self._app)

    async def _app(self, request: Request) -> Response:
        if request.path == "/next":
            return Response.text("next")
        response = Response(self.stream)
        response.length = self._length
        response.finish = lambda outcome, sent: self.outcomes.append((outcome, sent))
        return response

    @property
    def body(self) -> bytes:
        """What was sent behind the head."""
        return bytes(self.wire.transport.written).partition(b"\r\n\r\n")[2]


async def begun(stream: Stream, length: int | None = None, message: bytes = GET) -> Sent:
    sent = Sent(stream, length)
    await sent.wire.send(message)
    return sent


NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_chunks_go_out_as_they_come() -> None:
    source = Source()
    sent = await begun(source)
    source.feed(b"one")
    assert sent.body == b"3\r\none\r\n"
    source.feed(b"", b"two")
    source.end()
    assert sent.outcomes == [("done", 6)]
    first, second = await sent.wire.ask(NEXT)
    assert first.body == b"onetwo" and second.body == b"next"


async def test_a_known_length_goes_out_as_it_is() -> None:
    source = Source()
    sent = await begun(source, 6)
    source.feed(b"one", b"two")
    source.end()
    assert sent.body == b"onetwo" and sent.outcomes == [("done", 6)]
    assert [one.body for one in await sent.wire.ask(NEXT)] == [b"onetwo", b"next"]


async def test_less_than_was_announced_closes_the_connection() -> None:
    source = Source()
    sent = await begun(source, 6)
    source.feed(b"one")
    source.end()
    assert sent.body == b"one" and sent.outcomes == [("cut", 3)] and sent.wire.over


async def test_more_than_was_announced_never_looks_like_another_answer() -> None:
    source = Source()
    sent = await begun(source, 6, GET + NEXT)
    source.feed(b"one", b"twoHTTP/1.1 200 OK\r\n", b"more")
    source.end()
    assert sent.body == b"onetwo" and sent.wire.over and sent.outcomes[0][0] == "cut"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UpstreamCut("gone", answered=True), "cut"),
        (UpstreamTimeout("idle"), "stall"),
        (UpstreamError("odd"), "error"),
        (ValueError("ours"), "error"),
    ],
)
async def test_a_source_that_fails_is_cut_and_never_looks_whole(error: Exception, outcome: str) -> None:
    source = Source()
    sent = await begun(source, None, GET + NEXT)
    source.feed(b"one")
    source.end(error)
    assert sent.body == b"3\r\none\r\n" and sent.wire.over and sent.outcomes == [(outcome, 3)]


async def test_a_transform_sees_everything_and_has_the_last_word() -> None:
    source = Source()
    source.transform = transform = Upper(b"END")
    sent = await begun(source)
    source.feed(b"o-ne", b"-", b"two")
    source.end()
    (answer,) = sent.wire.answers()
    assert answer.body == b"ONETWOEND" and transform.ends == ["done"] and sent.outcomes == [("done", 9)]
    assert not sent.wire.over


async def test_a_transform_that_tells_of_the_failure_ends_the_body_well() -> None:
    """The client has been told inside the stream; the connection closes all the same."""
    source = Source()
    source.transform = transform = Upper(b"event: error\n\n")
    sent = await begun(source)
    source.feed(b"one")
    source.end(UpstreamCut("gone", answered=True))
    (answer,) = sent.wire.answers()
    assert answer.body == b"ONEevent: error\n\n" and transform.ends == ["cut"]
    assert sent.outcomes == [("cut", 17)] and sent.wire.over


async def test_the_client_s_pace_is_the_source_s() -> None:
    source = Source()
    sent = await begun(source)
    sent.wire.transport.room = False
    source.feed(b"x" * HIGH_WATER)
    assert source.calls == ["pipe", "pause"]
    sent.wire.transport.take()
    assert source.calls == ["pipe", "pause", "resume"]


async def test_a_stream_behind_an_answer_that_was_not_taken_begins_paused() -> None:
    """`pipe` starts the source: the pause must come after it."""
    source = Source()

    async def app(request: Request) -> Response:
        return Response(source)

    wire = InMemory(app)
    wire.transport.room = False
    wire.connection.pause_writing()
    wire.connection.data_received(GET)
    await settle()
    assert source.calls == []  # a new request waits for the client to take what it has
    wire.connection.resume_writing()
    await settle()
    assert source.calls == ["pipe"]


async def test_a_stream_that_begins_while_the_client_takes_nothing_is_paused() -> None:
    source = Source()
    go = asyncio.Event()

    async def app(request: Request) -> Response:
        await go.wait()
        return Response(source)

    wire = InMemory(app)
    await wire.send(GET)
    wire.connection.pause_writing()
    go.set()
    await settle()
    assert source.calls == ["pipe", "pause"]


async def test_a_client_that_leaves_cancels_the_source() -> None:
    source = Source()
    source.transform = transform = Upper(b"never sent")
    sent = await begun(source)
    source.feed(b"one")
    sent.wire.transport.lose()
    assert source.calls == ["pipe", "cancel"] and transform.ends == ["client_closed"]
    assert sent.outcomes == [("client_closed", 3)] and b"never" not in sent.body


async def test_a_client_that_leaves_after_the_end_changes_nothing() -> None:
    source = Source()
    sent = await begun(source)
    source.end()
    sent.wire.transport.lose()
    assert sent.outcomes == [("done", 0)] and source.calls == ["pipe"]


@pytest.mark.parametrize("message", [b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", GET])
async def test_an_answer_without_a_body_does_not_run_its_source(message: bytes) -> None:
    source = Source()
    sent = Sent(source)
    response = Response(source, 204)

    async def app(request: Request) -> Response:
        response.finish = lambda outcome, count: sent.outcomes.append((outcome, count))
        if request.method == "HEAD":
            response.status = 200
        return response

    wire = InMemory(app)
    await wire.send(message)
    assert source.calls == ["cancel"] and sent.outcomes == [("done", 0)] and not wire.over
    assert len(parse(bytes(wire.transport.written), message[:4].decode().strip())) == 1


async def test_a_generator_waits_for_the_client() -> None:
    given = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b"x" * 10_000

    sent = Sent(Stream(parts()))
    sent.wire.transport.room = False
    await sent.wire.send(GET)
    await settle(50)
    assert given <= HIGH_WATER // 10_000 + 2
    before = given
    sent.wire.transport.take()
    await settle(50)
    assert given > before
    sent.wire.transport.lose()
    await settle()
    assert sent.outcomes[0][0] == "client_closed"


async def test_an_http_1_0_client_gets_it_plain_and_the_connection_closes() -> None:
    source = Source()
    sent = await begun(source, None, b"GET / HTTP/1.0\r\n\r\n")
    source.feed(b"one", b"two")
    source.end()
    assert sent.body == b"onetwo" and sent.wire.over


# the end of the server


async def test_the_end_of_the_server_is_told_in_the_stream_and_the_source_is_closed() -> None:
    source = Source()
    source.transform = upper = Upper(b"THE END")
    sent = await begun(source)
    source.feed(b"one")
    sent.wire.connection.expire()
    assert sent.body == b"3\r\nONE\r\n7\r\nTHE END\r\n0\r\n\r\n" and sent.wire.over
    assert source.calls[-1] == "cancel" and upper.ends == ["stopped"]
    assert sent.outcomes == [("stopped", 10)]
    sent.wire.connection.expire()  # a second time changes nothing
    assert sent.outcomes == [("stopped", 10)]


async def test_a_stream_that_cannot_be_told_of_it_is_left_without_its_last_chunk() -> None:
    source = Source()
    sent = await begun(source)
    source.feed(b"one")
    sent.wire.connection.expire()
    assert sent.body == b"3\r\none\r\n" and sent.wire.over and sent.outcomes == [("stopped", 3)]


async def test_a_stream_that_is_read_by_a_task_ends_too() -> None:
    closed: list[bool] = []

    async def parts() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    sent = await begun(Stream(parts()))
    await settle()
    sent.wire.connection.expire()
    await settle()
    assert sent.body == b"3\r\none\r\n" and sent.wire.over and closed == [True]
    assert sent.outcomes == [("stopped", 3)]
