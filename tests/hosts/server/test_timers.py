"""What takes too long: `check` is called with a time made up by the test, so nothing waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.hosts.server.wire import InMemory, echo, settle
from wws.errors import Refusal
from wws.functions.refuse import refuse
from wws.hosts.server.limits import DRAIN_IDLE, ServerLimits
from wws.http import Request, Response

LIMITS = ServerLimits()
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"


def later(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def bodies(request: Request) -> Response:
    """Reads the body and turns what it raises into an answer, as the gateway does."""
    try:
        return await echo(request)
    except Refusal as refusal:
        return refuse(refusal, openai=False)


async def test_silent_from_the_start() -> None:
    wire = InMemory(echo)
    wire.connection.check(later(LIMITS.header_timeout - 0.5))
    assert not wire.over
    wire.connection.check(later(LIMITS.header_timeout + 0.5))
    assert wire.over and wire.answers() == []


async def test_a_head_that_never_ends_is_answered_408() -> None:
    wire = InMemory(echo)
    await wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
    start = later(0)
    for second in range(1, 10):
        wire.connection.check(start + second)
        await wire.send(b"X-%d: y\r\n" % second)  # a field now and then does not buy time
    assert wire.answers() == []
    wire.connection.check(start + LIMITS.header_timeout + 0.5)
    (answer,) = await wire.ask(b"\r\n")
    assert answer.status == 408 and answer.headers["connection"] == "close" and wire.over


async def test_a_head_that_never_ends_on_a_kept_connection() -> None:
    wire = InMemory(echo)
    await wire.send(GET)
    await wire.send(b"GET /2 HTT")
    wire.connection.check(later(LIMITS.header_timeout + 0.5))
    assert [one.status for one in wire.answers()] == [200, 408]


async def test_idle_between_requests() -> None:
    wire = InMemory(echo)
    await wire.send(GET)
    wire.connection.check(later(LIMITS.keep_alive - 0.5))
    assert not wire.over
    wire.connection.check(later(LIMITS.keep_alive + 0.5))
    assert wire.over and [one.status for one in wire.answers()] == [200]


async def test_an_empty_line_behind_a_request_begins_none() -> None:
    """RFC 9112 section 2.2 knows clients that send it; a 408 would be taken for the next answer."""
    wire = InMemory(echo)
    await wire.send(GET, b"\r\n")
    wire.connection.check(later(LIMITS.keep_alive + 0.5))
    assert wire.over and [one.status for one in wire.answers()] == [200]


async def test_a_request_in_progress_has_all_the_time_its_app_takes() -> None:
    event = asyncio.Event()

    async def app(request: Request) -> Response:
        await event.wait()
        return Response.text("at last")

    wire = InMemory(app)
    await wire.send(GET)
    wire.connection.check(later(10_000))
    assert not wire.over
    event.set()
    await settle()
    assert [one.body for one in wire.answers()] == [b"at last"]


# bodies


async def test_a_dripping_body_is_answered_408() -> None:
    wire = InMemory(bodies)
    await wire.send(POST)
    start = later(0)
    for second in range(1, 10):
        await wire.send(b"x" * 100)
        wire.connection.check(start + second)
    assert wire.answers() == []
    wire.connection.check(start + LIMITS.body_grace + 0.5)
    await settle()
    (answer,) = wire.answers()
    assert answer.status == 408 and answer.headers["connection"] == "close" and wire.over


async def test_a_fast_start_does_not_pay_for_a_slow_end() -> None:
    wire = InMemory(bodies)
    await wire.send(POST, b"x" * 500_000)
    start = later(0)
    wire.connection.check(start + LIMITS.body_grace + 1)
    assert wire.answers() == []
    wire.connection.check(start + 2 * LIMITS.body_grace + 2)
    await settle()
    assert [one.status for one in wire.answers()] == [408]


async def test_a_body_at_the_least_rate_may_take_as_long_as_it_does() -> None:
    wire = InMemory(bodies)
    await wire.send(POST)
    now = later(0)
    for _ in range(100):
        await wire.send(b"x" * 2000)
        now += 1.0
        wire.connection.check(now)
    assert wire.answers() == []


async def test_nobody_waits_for_the_body_so_its_rate_is_not_judged() -> None:
    event = asyncio.Event()

    async def busy(request: Request) -> Response:
        await event.wait()
        return await bodies(request)

    wire = InMemory(busy)
    await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    wire.connection.check(later(1000))
    event.set()
    assert [one.status for one in await wire.ask(b"hello")] == [200]


async def test_a_body_that_was_paused_starts_a_new_window() -> None:
    """While we take nothing the client owes nothing."""
    go = asyncio.Event()
    seen: list[int] = []

    async def slow(request: Request) -> Response:
        async for chunk in request.body.chunks():
            seen.append(len(chunk))
            await go.wait()
        return Response.text("done")

    wire = InMemory(slow)
    await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n", b"x" * 1000)
    await wire.send(b"x" * 100_000)
    assert not wire.transport.reading and seen == [1000]
    wire.connection.check(later(500))
    go.set()
    await settle()
    assert wire.transport.reading
    wire.connection.check(later(LIMITS.body_grace - 1))
    assert [one.body for one in await wire.ask(b"x" * 99_000)] == [b"done"]


# a client that does not take its answer


def streamed(count: int, size: int) -> object:
    async def app(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(count):
                yield b"x" * size

        return Response.stream(parts())

    return app


async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    wire = InMemory(streamed(100, 10_000))  # type: ignore[arg-type]
    wire.transport.room = False
    await wire.send(GET)
    await settle(50)
    wire.connection.check(later(LIMITS.write_stall - 1))
    assert not wire.transport.closed
    wire.connection.check(later(LIMITS.write_stall + 1))
    assert wire.transport.aborted


async def test_a_slow_client_that_takes_something_is_not_cut_off() -> None:
    wire = InMemory(streamed(100, 10_000))  # type: ignore[arg-type]
    wire.transport.room = False
    await wire.send(GET)
    await settle(50)
    now = later(0)
    for _ in range(20):
        now += LIMITS.write_stall - 1
        wire.transport.take(100)
        wire.connection.check(now)
        wire.connection.check(now + 0.25)  # what was taken begins a new wait
    assert not wire.transport.closed
    wire.connection.check(now + LIMITS.write_stall + 1)
    assert wire.transport.aborted


# the end


async def test_bytes_behind_a_refusal_are_thrown_away_for_a_moment() -> None:
    wire = InMemory(echo)
    await wire.send(b"nonsense\r\n\r\n")
    assert wire.transport.eof and wire.transport.reading
    await wire.send(GET, b"x" * 100_000)
    wire.connection.check(later(LIMITS.linger - 0.5))
    assert not wire.transport.aborted
    wire.connection.check(later(LIMITS.linger + 0.5))
    assert wire.transport.aborted and [one.status for one in wire.answers()] == [400]


async def test_too_many_bytes_behind_a_refusal_end_the_patience() -> None:
    wire = InMemory(echo, ServerLimits(linger_bytes=1000))
    await wire.send(b"nonsense\r\n\r\n", b"x" * 1001)
    assert wire.transport.aborted


async def test_an_early_answer_is_taken_at_the_clients_speed_before_the_end() -> None:
    async def app(request: Request) -> Response:
        return Response(b"x" * 500_000)

    wire = InMemory(app)
    wire.transport.room = False
    await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
    now = later(0)
    for _ in range(10):
        now += LIMITS.write_stall - 1
        wire.transport.take(40_000)
        wire.connection.check(now)
    assert not wire.transport.aborted
    wire.transport.take()
    wire.connection.check(now + 1)
    wire.connection.check(now + 2 + LIMITS.linger)
    assert wire.transport.aborted


@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
async def test_a_client_that_leaves_its_answer_lying_is_cut_off_in_the_end(connection: bytes) -> None:
    async def app(request: Request) -> Response:
        return Response(b"x" * 50_000)

    wire = InMemory(app)
    wire.transport.room = False
    await wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + connection + b"\r\n")
    now = later(0)
    for seconds in (LIMITS.keep_alive + 1, LIMITS.write_stall - 1):
        wire.connection.check(now + seconds)
        assert not wire.transport.aborted
    wire.connection.check(later(2 * LIMITS.write_stall))
    assert wire.transport.aborted


async def test_timers_of_a_connection_that_is_gone() -> None:
    wire = InMemory(echo)
    wire.transport.lose()
    wire.connection.check(later(10_000))
    wire.connection.abort()
    wire.connection.drain()
    assert not wire.transport.aborted


# draining


async def test_a_draining_server_closes_what_has_been_idle_for_a_moment() -> None:
    wire = InMemory(echo)
    await wire.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    wire.server.draining = True
    wire.connection.drain()
    assert not wire.over  # it may be in use: closing it under a request would fail that request
    wire.connection.check(later(DRAIN_IDLE - 0.1))
    assert not wire.over
    wire.connection.check(later(DRAIN_IDLE + 0.1))
    assert wire.over


async def test_a_request_in_that_moment_is_answered() -> None:
    wire = InMemory(echo)
    await wire.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    wire.server.draining = True
    wire.connection.drain()
    answers = await wire.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answers[-1].status == 200 and answers[-1].headers["connection"] == "close" and wire.over


async def test_a_request_that_has_begun_to_arrive_is_waited_for() -> None:
    wire = InMemory(echo)
    await wire.send(b"GET / HTTP/1.1\r\n")
    wire.server.draining = True
    wire.connection.drain()
    wire.connection.check(later(DRAIN_IDLE + 0.1))
    assert not wire.over
    assert [answer.status for answer in await wire.ask(b"Host: a\r\n\r\n")] == [200]


async def test_a_connection_that_was_never_used_is_closed() -> None:
    wire = InMemory(echo)
    wire.server.draining = True
    wire.connection.check(later(DRAIN_IDLE + 0.1))
    assert wire.over
