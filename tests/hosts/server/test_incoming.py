"""A request's body while it arrives."""

from __future__ import annotations

import asyncio

import pytest

from tests.hosts.server.wire import settle
from wws.errors import Refusal
from wws.hosts.server.incoming import IncomingBody
from wws.hosts.server.limits import HIGH_WATER


class Arriving:
    """A body with what it told its connection."""

    def __init__(self, length: int | None = None, *, expects: bool = False) -> None:
        self.flow: list[bool] = []
        self.continued = 0
        send = self._continue if expects else None
        self.body = IncomingBody(asyncio.get_running_loop(), length, self.flow.append, send)

    def _continue(self) -> None:
        self.continued += 1

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.body.feed(piece)


async def collect(body: IncomingBody) -> list[bytes]:
    return [piece async for piece in body.chunks()]


async def test_a_body_that_is_here() -> None:
    it = Arriving(11)
    assert it.body.ready() is None
    it.feed(b"hello", b" ", b"world")
    assert it.body.ready() is None
    it.body.finish()
    assert it.body.ready() == b"hello world" and it.body.complete
    assert await it.body.read() == await it.body.read(11) == b"hello world"
    assert await collect(it.body) == [b"hello world"]


async def test_a_body_that_is_waited_for() -> None:
    it = Arriving()
    reading = asyncio.create_task(it.body.read())
    await settle()
    assert it.body.wanted
    it.feed(b"hello")
    await settle()
    assert not reading.done() and it.body.wanted
    it.feed(b" world")
    it.body.finish()
    assert await reading == b"hello world" and not it.body.wanted


async def test_pieces_as_they_come() -> None:
    it = Arriving()
    seen: list[bytes] = []

    async def read() -> None:
        async for piece in it.body.chunks():
            seen.append(piece)  # noqa: PERF401  (one by one is what is tested)

    reading = asyncio.create_task(read())
    await settle()
    it.feed(b"a")
    await settle()
    it.feed(b"b", b"c")
    await settle()
    it.feed(b"d")
    it.body.finish()
    await reading
    assert seen == [b"a", b"bc", b"d"]


async def test_an_empty_chunked_body() -> None:
    it = Arriving()
    it.body.finish()
    assert it.body.ready() == b"" and await it.body.read() == b"" and await collect(it.body) == []


@pytest.mark.parametrize("length", [None, 6])
async def test_a_limit(length: int | None) -> None:
    it = Arriving(length)
    if length is None:
        it.feed(b"123456")
    with pytest.raises(Refusal) as caught:
        await it.body.read(5)
    assert caught.value.code == "body_too_large" and "5 bytes" in caught.value.message


async def test_a_limit_that_is_passed_while_waiting() -> None:
    it = Arriving()
    reading = asyncio.create_task(it.body.read(5))
    await settle()
    it.feed(b"12345")
    await settle()
    assert not reading.done()
    it.feed(b"6")
    with pytest.raises(Refusal):
        await reading


async def test_a_limit_that_the_last_piece_passes() -> None:
    it = Arriving()
    reading = asyncio.create_task(it.body.read(5))
    await settle()
    it.feed(b"123456")
    it.body.finish()
    with pytest.raises(Refusal):
        await reading


@pytest.mark.parametrize("how", ["read", "chunks"])
async def test_a_body_that_fails_raises_in_its_reader(how: str) -> None:
    it = Arriving(10)
    it.feed(b"hello")
    reading = asyncio.ensure_future(it.body.read() if how == "read" else collect(it.body))
    await settle()
    it.body.fail(Refusal("client_closed"))
    it.body.fail(Refusal("invalid_request"))  # the first reason counts
    with pytest.raises(Refusal) as caught:
        await reading
    assert caught.value.code == "client_closed" and it.body.failed is caught.value
    with pytest.raises(Refusal):
        await it.body.read()
    assert it.body.ready() is None


async def test_a_whole_body_cannot_fail_any_more() -> None:
    it = Arriving()
    it.feed(b"hello")
    it.body.finish()
    it.body.fail(Refusal("client_closed"))
    assert it.body.failed is None and await it.body.read() == b"hello"


# the sender waits for the reader


async def test_more_than_the_mark_makes_the_sender_wait_until_it_is_read() -> None:
    it = Arriving()
    it.feed(b"x" * HIGH_WATER)
    assert it.flow == [] and not it.body.paused
    it.feed(b"x", b"x")
    assert it.flow == [False] and it.body.paused
    pieces = it.body.chunks()
    assert len(await anext(pieces)) == HIGH_WATER + 2
    assert it.flow == [False]  # the reader has not come back for more
    more = asyncio.ensure_future(anext(pieces))
    await settle()
    assert it.flow == [False, True] and not it.body.paused
    it.feed(b"last")
    assert await more == b"last"


async def test_who_reads_the_whole_takes_more_up_to_the_limit() -> None:
    it = Arriving()
    it.feed(b"x" * (HIGH_WATER + 1))
    reading = asyncio.create_task(it.body.read(2 * HIGH_WATER))
    await settle()
    assert it.flow == [False, True]
    it.feed(b"x" * (HIGH_WATER - 1))
    it.body.finish()
    assert len(await reading) == 2 * HIGH_WATER and it.flow == [False, True]


async def test_the_end_of_a_body_lets_the_next_request_come() -> None:
    it = Arriving()
    it.feed(b"x" * (HIGH_WATER + 1))
    it.body.finish()
    assert it.flow == [False, True] and not it.body.paused


async def test_continue_is_said_once_and_when_the_body_is_wanted() -> None:
    it = Arriving(10, expects=True)
    await settle()
    assert it.continued == 0
    reading = asyncio.create_task(it.body.read())
    await settle()
    assert it.continued == 1
    it.feed(b"hello")
    await settle()
    it.feed(b"world")
    it.body.finish()
    assert await reading == b"helloworld" and it.continued == 1


async def test_continue_is_not_said_to_a_body_that_is_refused_or_here() -> None:
    it = Arriving(10, expects=True)
    with pytest.raises(Refusal):
        await it.body.read(5)
    assert it.continued == 0
    it.feed(b"helloworld")
    it.body.finish()
    assert await it.body.read() == b"helloworld" and it.continued == 0


async def test_a_body_that_was_taken_in_pieces_is_not_whole_a_second_time() -> None:
    """What is left of it must not pass for all of it."""
    it = Arriving(10)
    it.feed(b"hello")
    pieces = it.body.chunks()
    assert await anext(pieces) == b"hello"
    it.feed(b"world")
    it.body.finish()
    assert it.body.ready() is None
    with pytest.raises(RuntimeError):
        await it.body.read()
    assert [piece async for piece in pieces] == [b"world"] and it.body.ready() is None
