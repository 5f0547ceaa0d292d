"""Waiting for the platform by numbers, the database, request bodies and `fetch`, on a glue that is told by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from tests.hosts.deno.platform import Platform
from wws.bindings import Endpoint
from wws.core.policy import Timeouts
from wws.errors import ConnectFailed, Refusal, StoreError, UpstreamCut, UpstreamError, UpstreamMalformed, UpstreamTimeout
from wws.hosts.deno.body import DenoBody
from wws.hosts.deno.border import CUT, FAILED, LATE, SLOW, Border, fields, lines
from wws.hosts.deno.database import DenoDatabase
from wws.hosts.deno.dial import DenoDial
from wws.http import Response

HERE = Endpoint("http://here:1")
TIMEOUTS = Timeouts(connect=1.0, first_byte=2.0, idle=30.0)


class Octets(bytes):
    """A `Uint8Array`."""

    def to_bytes(self) -> bytes:
        return bytes(self)


class Glue:
    """Remembers what it is asked. `early` is the body that it has read by itself."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.early: Octets | None = None

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.asked.append((name, given))

    def ready(self, number: int) -> Octets | None:
        return self.early


class Side:
    """A border with both its sides. `last` is the number of who asked last."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.glue = Glue()
        self.border = Border(self.glue, Octets, platform.loop)

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self.platform.loop.create_task(work)
        self.platform.run()
        return task

    @property
    def last(self) -> int:
        return int(self.glue.asked[-1][1][0])

    def tell(self, status: int, text: str = "", data: bytes | None = None) -> None:
        self.border.settle(self.last, status, text, None if data is None else Octets(data))


@pytest.fixture
def side(platform: Platform) -> Side:
    return Side(platform)


async def _two(border: Border) -> list[Any]:
    return [await border.ask(border.glue.one, "a"), await border.ask(border.glue.two, "b", 3)]


def test_who_asks_goes_on_in_the_call_that_tells_it(side: Side) -> None:
    task = side.begin(_two(side.border))
    crossings = side.platform.crossings
    side.tell(1, "first")
    assert side.glue.asked == [("one", (1, "a")), ("two", (2, "b", 3))]
    side.tell(0, "", b"second")
    assert side.platform.crossings == crossings
    assert task.result() == [(1, "first", None), (0, "", b"second")]


def test_many_wait_at_one_time(side: Side) -> None:
    tasks = [side.begin(side.border.ask(side.glue.one)) for _ in range(3)]
    for number, text in ((2, "b"), (3, "c"), (1, "a")):
        side.border.settle(number, 1, text)
    assert [task.result()[1] for task in tasks] == ["a", "b", "c"]


def test_who_no_longer_waits_is_not_told(side: Side) -> None:
    seen: list[str] = []

    async def patient() -> None:
        try:
            await side.border.ask(side.glue.one)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = side.begin(patient())
    task.cancel()
    side.platform.run()
    assert task.cancelled()
    side.tell(1)
    side.platform.run()
    assert seen == ["cancelled"]


def test_a_timeout_around_it(side: Side) -> None:
    async def late() -> str:
        try:
            async with asyncio.timeout(2.0):
                await side.border.ask(side.glue.one)
        except TimeoutError:
            return "late"
        return "told"

    first, second = side.begin(late()), side.begin(late())
    side.tell(1)
    side.platform.advance(2.0)
    assert (first.result(), second.result()) == ("late", "told")


@pytest.mark.parametrize(
    ("head", "pairs"),
    [
        ("", []),
        ("a\nb", [(b"a", b"b")]),
        ("a\n\nb\nc", [(b"a", b""), (b"b", b"c")]),
        ("set-cookie\na=1\nset-cookie\nb=2", [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]),
        ("a\n\xe9", [(b"a", b"\xe9")]),
        ("a\n\u20ac\nb\n\xe9", [(b"a", "\u20ac".encode()), (b"b", b"\xe9")]),
    ],
)
def test_a_head_on_its_way_in(head: str, pairs: list[tuple[bytes, bytes]]) -> None:
    assert fields(head) == pairs


def test_a_head_on_its_way_out() -> None:
    pairs = [(b"content-type", b"text/plain"), (b"Content-Length".lower(), b"3"), (b"connection", b"close"), (b"x", b"\xe9: a")]
    assert lines(pairs, "x-request-id: 1\r\n") == "content-type: text/plain\r\nx: \xe9: a\r\nx-request-id: 1\r\n"


def test_the_database(side: Side) -> None:
    database = DenoDatabase(side.border)
    got = side.begin(database.get("t", "k"))
    side.tell(1, "", b"stamp+value")
    swapped = side.begin(database.swap("t", "k", "stamp", b"new", 5.0))
    assert side.glue.asked[-1] == ("swap", (2, "t", "k", "stamp", b"new", 5.0))
    side.tell(1, "another")
    deleted = side.begin(database.delete("t", "k"))
    side.tell(1)
    assert (got.result(), swapped.result(), deleted.result()) == (b"stamp+value", "another", None)
    for work in (database.get("t", "k"), database.put("t", "k", b"v", 0), database.list("t", "a", "b", 1)):
        failed = side.begin(work)
        side.tell(FAILED, "TypeError: Value too large")
        with pytest.raises(StoreError, match="Deno KV (get|set|list) failed: TypeError: Value too large"):
            failed.result()


# bodies


def test_a_short_body_is_there_without_a_wait(side: Side) -> None:
    body = DenoBody(side.border, 7, 5)
    assert body.ready() is None
    side.glue.early = Octets(b"short")
    assert body.ready() == b"short"
    task = side.begin(body.read(5))
    assert task.result() == b"short"
    assert side.glue.asked == []


def test_a_body_that_arrives(side: Side) -> None:
    task = side.begin(DenoBody(side.border, 7, 200_000).read())
    assert side.glue.asked == [("body", (1, 7))]
    side.tell(1, "", b"all of it")
    assert task.result() == b"all of it"


def test_a_body_in_pieces(side: Side) -> None:
    task = side.begin(DenoBody(side.border, 7, None).read(10))
    for piece in (b"one", b"two"):
        side.tell(1, "", piece)
    side.tell(0)
    assert task.result() == b"onetwo"


@pytest.mark.parametrize(("length", "told"), [(11, []), (None, [b"x" * 6, b"x" * 6])])
def test_a_body_that_is_too_large(side: Side, length: int | None, told: list[bytes]) -> None:
    task = side.begin(DenoBody(side.border, 7, length).read(10))
    for piece in told:
        side.tell(1, "", piece)
    with pytest.raises(Refusal, match="larger than the 10 bytes"):
        task.result()


def test_a_client_that_leaves_within_its_body(side: Side) -> None:
    for length in (100_000, None):
        task = side.begin(DenoBody(side.border, 7, length).read(200_000))
        side.tell(FAILED, "TypeError: request closed")
        with pytest.raises(Refusal) as caught:
            task.result()
        assert caught.value.code == "client_closed"


# fetch


def _sent(
    side: Side, body: bytes | DenoBody = b"{}", method: str = "POST", deadline: float | None = None
) -> asyncio.Task[Response]:
    work = DenoDial(side.border).send(HERE, method, "/x?y", [(b"a", b"b")], body, TIMEOUTS, deadline)
    return side.begin(work)


def test_a_whole_answer_in_one_crossing(side: Side) -> None:
    task = _sent(side)
    assert side.glue.asked == [("send", (1, "POST", "http://here:1/x?y", "a: b\r\n", b"{}", 0, 3000.0, 30000.0, 0.0))]
    side.tell(201, "content-type\napplication/json\ncontent-length\n2", b"[]")
    response = task.result()
    assert (response.status, response.body, response.length) == (201, b"[]", None)


def test_an_answer_in_pieces(side: Side) -> None:
    task = _sent(side)
    side.tell(200, "content-type\ntext/event-stream")
    body = task.result().body
    assert not isinstance(body, bytes)

    async def collected() -> list[bytes]:
        return [piece async for piece in body]

    pieces = side.begin(collected())
    side.tell(1, "", b"one")
    side.tell(2, "", b"the last")
    assert pieces.result() == [b"one", b"the last"]
    assert side.glue.asked[1:] == [("read", (2, 1)), ("read", (3, 1))]


def test_pieces_that_nobody_sees_singly(side: Side) -> None:
    unseen = replace(TIMEOUTS, gather=0.005)
    task = side.begin(DenoDial(side.border).send(HERE, "POST", "/", [], b"{}", unseen))
    assert side.glue.asked[-1][1][-1] == 5.0
    side.tell(200, "content-type\ntext/event-stream", b"all of it")
    assert task.result().body == b"all of it"
    task = side.begin(DenoDial(side.border).send(HERE, "POST", "/", [], b"{}", unseen))
    side.tell(200, "content-type\ntext/event-stream")
    assert not isinstance(task.result().body, bytes), "it goes on"


def test_an_answer_that_breaks_off(side: Side) -> None:
    task = _sent(side)
    side.tell(200)
    body = task.result().body
    assert not isinstance(body, bytes)
    piece = side.begin(body.next())
    side.tell(FAILED, "TypeError: connection reset")
    with pytest.raises(UpstreamCut, match="ended early"):
        piece.result()


def test_a_piece_that_does_not_come_in_time(side: Side) -> None:
    task = _sent(side)
    side.tell(200)
    body = task.result().body
    assert not isinstance(body, bytes)
    piece = side.begin(body.next(side.platform.now + 3.0))
    side.platform.advance(3.0)
    assert side.glue.asked[-1] == ("stop", (1,))
    side.border.settle(2, 0, "")
    with pytest.raises(UpstreamTimeout) as caught:
        piece.result()
    assert caught.value.phase == "first_token"


@pytest.mark.parametrize(
    ("status", "words", "error", "says"),
    [
        (FAILED, "TypeError: error trying to connect: Connection refused", ConnectFailed, "no connection"),
        (FAILED, "TypeError: error sending request", UpstreamCut, "failed"),
        (CUT, "TypeError: body error", UpstreamCut, "ended early"),
        (LATE, "AbortError", UpstreamTimeout, "first_byte"),
        (SLOW, "AbortError", UpstreamTimeout, "idle"),
        (101, "", UpstreamMalformed, "status"),
    ],
)
def test_what_fails_is_told_apart(side: Side, status: int, words: str, error: type[UpstreamError], says: str) -> None:
    task = _sent(side)
    side.tell(status, words)
    with pytest.raises(error, match=says):
        task.result()


def test_the_end_of_all_attempts_is_near(side: Side) -> None:
    task = _sent(side, deadline=side.platform.now + 0.5)
    assert side.glue.asked[-1][1][6] == 500.0
    side.tell(LATE, "AbortError")
    with pytest.raises(UpstreamTimeout, match="total"):
        task.result()
    with pytest.raises(UpstreamTimeout, match="total"):
        _sent(side, deadline=side.platform.now).result()


def test_a_body_goes_on_unread_or_as_it_was_read(side: Side) -> None:
    _sent(side, DenoBody(side.border, 7, 1_000_000))
    assert side.glue.asked[-1][1][4:6] == (None, 7)
    side.glue.early = Octets(b"short")
    _sent(side, DenoBody(side.border, 8, 5))
    assert side.glue.asked[-1][1][4:6] == (b"short", 0)
    _sent(side, DenoBody(side.border, 9, 1_000_000), "GET")
    assert side.glue.asked[-1][1][4:6] == (None, 0)


def test_who_leaves_ends_the_exchange(side: Side) -> None:
    task = _sent(side)
    task.cancel()
    side.platform.run()
    assert task.cancelled()
    assert side.glue.asked[-1] == ("stop", (1,))


def test_there_are_no_sockets(side: Side) -> None:
    work = DenoDial(side.border).send(Endpoint("http+unix:///run/x:/"), "GET", "/", [], b"", TIMEOUTS)
    with pytest.raises(ConnectFailed, match="no sockets"):
        side.begin(work).result()
