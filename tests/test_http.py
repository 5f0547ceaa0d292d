"""Request, Response, Headers: values that hold what they are given, and nothing that cannot stand on the wire."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.errors import Refusal, UpstreamCut, UpstreamTimeout
from wws.http import Body, Headers, Parts, Pieces, Request, Response, Stream

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_!#$%&'*+.^`|~", min_size=1, max_size=10)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=12)


async def gathered(source: Any) -> bytes:
    return b"".join([piece async for piece in source])


# Headers


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_headers_keep_order_and_repetition_and_ignore_case(pairs: list[tuple[str, str]]) -> None:
    headers = Headers(pairs)
    assert headers.items() == [(name.lower(), value.strip(" \t")) for name, value in pairs]
    assert len(headers) == len(pairs)
    for name in {name for name, _ in pairs}:
        values = [value.strip(" \t") for other, value in pairs if other.lower() == name.lower()]
        assert headers.getall(name.upper()) == headers.getall(name.lower()) == values
        assert headers.get(name) == headers[name.swapcase()] == ", ".join(values)
        assert name in headers


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), NAMES, VALUES)
def test_set_append_and_delete(pairs: list[tuple[str, str]], name: str, value: str) -> None:
    headers = Headers(pairs)
    others = [pair for pair in headers.items() if pair[0] != name.lower()]
    headers.append(name, value)
    assert headers.getall(name)[-1] == value.strip(" \t")
    headers.set(name, value)
    assert headers.items() == [*others, (name.lower(), value.strip(" \t"))]
    assert headers.first[name.lower().encode()] == value.strip(" \t").encode("latin-1")
    headers.delete(name.upper())
    assert headers.items() == others
    assert headers.get(name) is None
    assert headers.get(name, "none") == "none"
    assert name not in headers
    with pytest.raises(KeyError):
        headers[name]


@pytest.mark.parametrize("value", ["a\r\nx-injected: 1", "a\nb", "a\rb", "a\x00b", "\x1f", "\x7f", "\r"])
def test_a_value_cannot_begin_a_line_of_its_own(value: str) -> None:
    for build in (
        lambda: Headers({"a": value}),
        lambda: Headers([(b"a", value.encode())]),
        lambda: Headers().set("a", value),
        lambda: Headers().append("a", value),
        lambda: Response.json({}, headers={"a": value}),
        lambda: Response.redirect(f"/x{value}"),
    ):
        with pytest.raises(ValueError, match="control character in the value of header"):
            build()


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\r\n", "a\x00", "(x)"])
def test_a_name_is_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="not a header name"):
        Headers({name: "1"})


def test_a_value_outside_latin_1_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        Headers({"a": "€"})


@given(st.binary(max_size=20))
def test_whatever_is_taken_is_one_line(value: bytes) -> None:
    try:
        headers = Headers([(b"a", value)])
    except ValueError:
        assert re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value)
    else:
        assert not re.search(rb"[\r\n\x00]", headers.raw[0][1])


def test_values_are_in_no_repr() -> None:
    assert "secret" not in repr(Headers({"authorization": "secret"}))
    assert "secret" not in repr(Request("GET", "/?token=secret", {"cookie": "secret"}, b"secret"))
    assert "secret" not in repr(Response("secret", headers={"set-cookie": "secret"}))


def test_trusted_headers_share_their_dictionary() -> None:
    raw = [(b"a", b"1"), (b"b", b"2")]
    first = {b"a": b"1", b"b": b"2"}
    headers = Headers.trusted(raw, first)
    assert headers.first is first
    assert headers.raw is raw
    headers.append("c", "3")
    assert headers.first[b"c"] == b"3"  # made anew


# Request


@given(st.text("abc/%?&=+;é ", max_size=12), st.text("abc%?&=+;é ", max_size=12))
def test_path_and_query_are_what_was_sent(path: str, query: str) -> None:
    target = f"/{path.replace('?', '')}" + (f"?{query}" if query else "")
    request = Request("GET", target)
    assert request.target == target
    assert request.path == target.partition("?")[0]
    assert request.url == f"http://localhost{target}"


def test_query_and_decoded_path_are_for_show() -> None:
    request = Request("GET", "/caf%C3%A9/x?a=1&b=two+words&a=3&empty=", authority="example.com", scheme="https")
    assert request.query == {"a": "3", "b": "two words", "empty": ""}
    assert request.decoded_path == "/café/x"
    assert request.url == "https://example.com/caf%C3%A9/x?a=1&b=two+words&a=3&empty="


async def test_bodies_of_every_form() -> None:
    for body in (b'{"a": 1}', '{"a": 1}', Body(b'{"a": 1}')):
        request = Request("POST", "/", {}, body)
        assert await request.json() == {"a": 1}
        assert await request.text() == '{"a": 1}'
        assert await request.bytes() == b'{"a": 1}'
        assert await gathered(request.body.chunks()) == b'{"a": 1}'
        assert request.body.ready() == b'{"a": 1}'
        assert request.body.length == 8


@pytest.mark.parametrize(
    ("body", "read", "code"),
    [(b"{", "json", "invalid_json"), (b"\xff", "json", "invalid_json"), (b"\xff", "text", "invalid_request")],
)
async def test_bodies_that_are_not_what_they_should_be(body: bytes, read: str, code: str) -> None:
    with pytest.raises(Refusal) as raised:
        await getattr(Request("POST", "/", {}, body), read)()
    assert raised.value.code == code


@pytest.mark.parametrize("read", ["bytes", "text", "json"])
async def test_a_body_over_the_limit(read: str) -> None:
    request = Request("POST", "/", {}, b"12345")
    assert await getattr(request, read)(limit=5) in (b"12345", "12345", 12345)
    with pytest.raises(Refusal, match="body_too_large"):
        await getattr(request, read)(limit=4)


# Response


@pytest.mark.parametrize(
    ("response", "kind", "body"),
    [
        (Response.json({"a": [1, None]}), "application/json", b'{"a":[1,null]}'),
        (Response.text("é"), "text/plain; charset=utf-8", "é".encode()),
        (Response.html("<p>"), "text/html; charset=utf-8", b"<p>"),
        (Response.json(1, headers={"Content-Type": "application/geo+json"}), "application/geo+json", b"1"),
    ],
)
def test_what_is_made_of_values(response: Response, kind: str, body: bytes) -> None:
    assert (response.status, response.headers.getall("content-type"), response.body) == (200, [kind], body)


def test_a_plain_response() -> None:
    assert (Response().body, Response().status, Response().headers.items()) == (b"", 200, [])
    assert Response("é").body == "é".encode()
    assert Response(b"x", 201, {"a": "1"}).headers.items() == [("a", "1")]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(status: int) -> None:
    response = Response.redirect("/there", status)
    assert (response.status, response.headers["location"], response.body) == (status, "/there", b"")


@pytest.mark.parametrize("status", [200, 300, 304, 404])
def test_what_is_no_redirect(status: int) -> None:
    with pytest.raises(ValueError, match="not a redirect status"):
        Response.redirect("/there", status)


async def test_streams_of_texts_and_of_events() -> None:
    async def pieces() -> AsyncIterator[Any]:
        yield "é"
        yield b"\xff"

    async def events() -> AsyncIterator[Any]:
        yield "two\nlines"
        yield {"a": 1}

    plain = Response.stream(pieces(), headers={"content-type": "text/csv"})
    assert plain.headers["content-type"] == "text/csv"
    assert await gathered(plain.body) == "é".encode() + b"\xff"
    told = Response.sse(events())
    assert told.headers["content-type"] == "text/event-stream"
    assert told.headers["cache-control"] == "no-cache, no-transform"
    assert await gathered(told.body) == b'data: two\ndata: lines\n\ndata: {"a":1}\n\n'


async def test_a_stream_is_closed_by_what_it_was_given() -> None:
    closed = []

    async def close() -> None:
        closed.append(1)

    stream = Stream(Pieces([b"a", b"b"]), close)
    assert await gathered(stream) == b"ab"
    await stream.aclose()
    await Stream(Pieces([])).aclose()
    assert closed == [1]


async def test_a_stream_is_read_piece_by_piece_and_then_on() -> None:
    stream = Stream(Pieces([b"a", b"", b"b", b"c"]))
    assert await stream.next() == b"a"
    assert await stream.next() == b"b"
    assert await gathered(stream) == b"c"
    assert await stream.next() == b""


async def test_a_piece_that_does_not_come_in_time() -> None:
    closed = []

    async def close() -> None:
        closed.append(1)

    async def never() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    stream = Stream(never(), close)
    assert await stream.next(loop.time() + 5) == b"first"
    with pytest.raises(UpstreamTimeout) as caught:
        await stream.next(loop.time() + 0.01)
    assert (caught.value.phase, closed) == ("first_token", [1])


async def test_an_error_of_the_source_is_raised_where_it_is_read() -> None:
    async def fails() -> AsyncIterator[bytes]:
        yield b"first"
        raise UpstreamCut("cut", answered=True)

    loop = asyncio.get_running_loop()
    for until in (math.inf, loop.time() + 5):
        stream = Stream(fails())
        assert await stream.next(until) == b"first"
        with pytest.raises(UpstreamCut):
            await stream.next(until)


@given(st.text("ab=&%2;+\u00e9#", max_size=12))
def test_the_short_way_to_a_query_leads_to_the_same(text: str) -> None:
    whole = {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
    assert Request("GET", f"/?{text}").query == whole


def test_a_type_of_ones_own_stays() -> None:
    assert Response.json({}, headers={"Content-Type": "application/ld+json"}).headers.items() == [
        ("content-type", "application/ld+json")
    ]
    response = Response.text("x", headers={"x-a": "1"})
    assert response.headers.get("content-type") == "text/plain; charset=utf-8" and "content-type" in response.headers


async def test_a_body_in_parts_is_one_body() -> None:
    parts = Parts([b'{"a":', memoryview(b"xx12345yy")[2:-2], b"}"])
    assert parts.length == 11
    assert parts.ready() == await parts.read() == await parts.read(11) == b'{"a":12345}'
    assert [piece async for piece in parts.chunks()] == [b'{"a":12345}']
    with pytest.raises(Refusal, match="larger than the 10 bytes allowed here"):
        await parts.read(10)
