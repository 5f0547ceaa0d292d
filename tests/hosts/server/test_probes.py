"""Messages that two servers might read in two ways: each is refused once, closed, and nothing behind it is answered.

The table follows the probes of "HTTP request smuggling" work on common servers; the rules are those of RFC 9112 and of
`wws.core.wire.head`. Each message goes over a real socket, and in memory cut at every byte.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

from tests.hosts.server.wire import Answer, InMemory, echo, every_cut, exchange, parse, pieces_of, serving
from wws.http import Request, Response

pytestmark = pytest.mark.usefixtures("heads")


class Probe(NamedTuple):
    """A message and the statuses it may be refused with."""

    message: bytes
    statuses: tuple[int, ...] = (400,)


def get(*lines: str, target: str = "/", version: str = "HTTP/1.1", host: str = "a.example") -> bytes:
    """A GET with these further lines."""
    head = [f"GET {target} {version}", f"Host: {host}", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1")


def post(*lines: str, body: bytes = b"hello", version: str = "HTTP/1.1") -> bytes:
    """A POST with these further lines."""
    return "\r\n".join([f"POST / {version}", "Host: a.example", *lines, "", ""]).encode("latin-1") + body


CHUNKED = "Transfer-Encoding: chunked"

REFUSED: dict[str, Probe] = {
    "length and chunked": Probe(post("Content-Length: 5", CHUNKED, body=b"0\r\n\r\n")),
    "chunked and length": Probe(post(CHUNKED, "Content-Length: 5", body=b"0\r\n\r\n")),
    "two lengths that differ": Probe(post("Content-Length: 5", "Content-Length: 6")),
    "two lengths that agree": Probe(post("Content-Length: 5", "Content-Length: 5")),
    "two lengths in a list": Probe(post("Content-Length: 5, 5")),
    "signed length": Probe(post("Content-Length: +5")),
    "negative length": Probe(post("Content-Length: -5")),
    "length with an underscore": Probe(post("Content-Length: 5_0")),
    "hexadecimal length": Probe(post("Content-Length: 0x5")),
    "length with a space": Probe(post("Content-Length: 1 5")),
    "empty length": Probe(post("Content-Length: ")),
    "length beyond 64 bits": Probe(post("Content-Length: 99999999999999999999")),
    "length beyond what adds up": Probe(post("Content-Length: 9999999999999999999")),
    "unknown coding": Probe(post("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), (400, 501)),
    "identity coding": Probe(post("Transfer-Encoding: identity"), (400, 501)),
    "chunked is not last": Probe(post("Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), (400, 501)),
    "a coding before chunked": Probe(post("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), (400, 501)),
    "chunked twice": Probe(post("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), (400, 501)),
    "two codings in two fields": Probe(post(CHUNKED, "Transfer-Encoding: identity", body=b"0\r\n\r\n"), (400, 501)),
    "quoted coding": Probe(post('Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), (400, 501)),
    "vertical tab before the coding": Probe(post("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), (400, 501)),
    "empty coding": Probe(post("Transfer-Encoding:", body=b"0\r\n\r\n"), (400, 501)),
    "coding in HTTP/1.0": Probe(post(CHUNKED, body=b"0\r\n\r\n", version="HTTP/1.0")),
    "space before the colon": Probe(get("X-A : b")),
    "tab before the colon": Probe(get("X-A\t: b")),
    "space before the first name": Probe(b"GET / HTTP/1.1\r\n Host: a.example\r\n\r\n"),
    "no colon": Probe(get("X-A")),
    "empty name": Probe(get(": b")),
    "NUL in a value": Probe(get("X-A: b\0c")),
    "NUL in a name": Probe(get("X\0A: b")),
    "bare CR in a value": Probe(get("X-A: b\rc")),
    "bare CR ends a line": Probe(b"GET / HTTP/1.1\rHost: a.example\r\r"),
    "obs-fold": Probe(get("X-A: b", " c")),
    "obs-fold of the coding": Probe(post("Transfer-Encoding:", " chunked", body=b"0\r\n\r\n")),
    "bare LF after the request line": Probe(b"GET / HTTP/1.1\nHost: a.example\r\n\r\n"),
    "bare LF header lines": Probe(b"GET / HTTP/1.1\r\nHost: a.example\nX-A: b\r\n\r\n"),
    "bare LF ends the head": Probe(b"GET / HTTP/1.1\r\nHost: a.example\r\n\n"),
    "two Host": Probe(get("Host: a.example")),
    "two Host that differ": Probe(get("Host: b.example")),
    "no Host": Probe(b"GET / HTTP/1.1\r\n\r\n"),
    "empty Host": Probe(get(host="")),
    "Host with a path": Probe(get(host="a/b?c")),
    "Host with a user": Probe(get(host="u@a")),
    "Host with a fragment": Probe(get(host="a#b")),
    "Host with a space": Probe(get(host="a b")),
    "Host list": Probe(get(host="a, b")),
    "Host with a bad port": Probe(get(host="a:http")),
    "Host with a port too large": Probe(get(host="a:65536")),
    "Host that is no IPv6 address": Probe(get(host="[::1::2]")),
    "Host with an open bracket": Probe(get(host="[::1")),
    "Host beyond ASCII": Probe(get(host="\xe4.example")),
    "control character in a value": Probe(get("X-A: b\x01c")),
    "escape character in a value": Probe(get("X-A: b\x1bc")),
    "DEL in a value": Probe(get("X-A: b\x7fc")),
    "underscore in a name": Probe(get("X_User_Id: 1")),
    "HTTP/9.9": Probe(get(version="HTTP/9.9"), (505,)),
    "HTTP/2.0": Probe(get(version="HTTP/2.0"), (505,)),
    "HTTP/1.2": Probe(get(version="HTTP/1.2"), (505,)),
    "HTTP/0.9": Probe(b"GET /\r\n\r\n", (400, 505)),
    "HTTP/11": Probe(get(version="HTTP/11")),
    "lower case version": Probe(get(version="http/1.1")),
    "preface of HTTP/2": Probe(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    "TLS to a plain port": Probe(bytes.fromhex("1603010200010001fc0303") + b"\0" * 60),
    "unknown method": Probe(b"FETCH / HTTP/1.1\r\nHost: a.example\r\n\r\n", (400, 501)),
    "lower case method": Probe(b"get / HTTP/1.1\r\nHost: a.example\r\n\r\n", (400, 501)),
    "CONNECT": Probe(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"),
    "CONNECT with a path": Probe(b"CONNECT /admin HTTP/1.1\r\nHost: a.example\r\n\r\n"),
    "asterisk-form": Probe(b"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n"),
    "absolute-form of another authority": Probe(get(target="http://b.example/")),
    "absolute-form with a user": Probe(get(target="http://u@a.example/")),
    "absolute-form of another scheme": Probe(get(target="ftp://a.example/")),
    "no path": Probe(get(target="a")),
    "fragment": Probe(get(target="/a#b")),
    "target beyond ASCII": Probe(get(target="/\xe4")),
    "two spaces in the request line": Probe(get(target="/a b")),
    "tab in the target": Probe(get(target="/a\tb")),
    "control character in the target": Probe(get(target="/a\x01")),
    "two Content-Type": Probe(post("Content-Length: 5", "Content-Type: a/b", "Content-Type: c/d")),
    "target of 8193 bytes": Probe(get(target="/" + "a" * 8192), (414,)),
    "101 header fields": Probe(get(*[f"X-{i}: 1" for i in range(100)]), (431,)),
    "header line of 33 KiB": Probe(get("X-A: " + "a" * 33 * 1024), (431,)),
}
LARGE: dict[str, Probe] = {
    "header line of 1 MiB": Probe(get("X-A: " + "a" * 1024 * 1024), (431,)),
    "5,000 headers": Probe(get(*[f"X-{i}: 1" for i in range(5000)]), (431,)),
    "header name of 1 MiB": Probe(get("X-" + "a" * 1024 * 1024 + ": 1"), (431,)),
    "target of 1 MiB": Probe(get(target="/" + "a" * 1024 * 1024), (414, 431)),
    "a head without an end": Probe(b"GET / HTTP/1.1\r\nHost: a.example\r\n" + b"X-A: b\r\n" * 100_000, (431,)),
    "empty lines without an end": Probe(b"\r\n" * 100_000, (400, 431)),
}
# The head is good, and the handler waits for the body.
BAD_BODIES: dict[str, bytes] = {
    "chunk size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "signed chunk size": b"+5\r\nhello\r\n0\r\n\r\n",
    "chunk size with a space": b"5 \r\nhello\r\n0\r\n\r\n",
    "space before the chunk size": b" 5\r\nhello\r\n0\r\n\r\n",
    "no chunk size": b"\r\nhello\r\n0\r\n\r\n",
    "chunk size of 20 digits": b"fffffffffffffffffff5\r\nhello\r\n0\r\n\r\n",
    "LF-only chunk lines": b"5\nhello\n0\n\n",
    "LF behind the size": b"5\nhello\r\n0\r\n\r\n",
    "LF behind the chunk": b"5\r\nhello\n0\r\n\r\n",
    "LF at the end": b"5\r\nhello\r\n0\r\n\n",
    "LF in the extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "CR in the extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "longer than its size": b"5\r\nhello!\r\n0\r\n\r\n",
    "shorter than its size": b"5\r\nhell\r\n0\r\n\r\n",
    "no end of the chunk": b"5\r\nhello0\r\n\r\n",
    "trailer without a colon": b"5\r\nhello\r\n0\r\nX\r\n\r\n",
    "trailer with a space": b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
    "101 trailers": b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 101 + b"Z: never the end",
    "trailer of 33 KiB": b"5\r\nhello\r\n0\r\nX: " + b"y" * 33 * 1024 + b"never the end",
    "extension of 33 KiB": b"5;" + b"a" * 33 * 1024 + b"never the end",
}
SECOND = b"GET /second HTTP/1.1\r\nHost: a.example\r\n\r\n"


def refused(answers: list[Answer], statuses: tuple[int, ...]) -> None:
    assert [answer.status for answer in answers] in [[status] for status in statuses]
    (answer,) = answers
    assert answer.headers["connection"] == "close"
    assert len(answer.body) < 200 and b"second" not in answer.body


@pytest.mark.parametrize("name", [*REFUSED, *LARGE])
async def test_a_refused_head(name: str) -> None:
    message, statuses = {**REFUSED, **LARGE}[name]
    async with serving(echo) as (server, port):
        refused(parse(await exchange(port, message + SECOND)), statuses)
        assert server.refusals == {status: 1 for status in statuses if status in server.refusals}
        assert sum(server.refusals.values()) == 1


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refused_head_in_pieces_of_one_byte(name: str) -> None:
    message, statuses = REFUSED[name]
    wire = InMemory(echo)
    refused(await wire.ask(*every_cut(message), SECOND, SECOND), statuses)
    assert wire.over


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refused_head_behind_a_good_request(name: str) -> None:
    message, statuses = REFUSED[name]
    wire = InMemory(echo)
    first, *others = await wire.ask(SECOND + message + SECOND)
    assert (first.status, first.body[:11]) == (200, b"GET /second")
    refused(others, statuses)
    assert wire.over


@pytest.mark.parametrize("name", LARGE)
async def test_a_large_head_is_refused_long_before_its_end(name: str) -> None:
    message, statuses = LARGE[name]
    wire = InMemory(echo)
    sent = 0
    for start in range(0, len(message), 4096):
        await wire.send(message[start : start + 4096])
        sent += 4096
        if wire.over:
            break
    refused(wire.answers(), statuses)
    assert sent <= 48 * 1024


async def test_a_large_head_behind_a_good_request_in_one_read() -> None:
    wire = InMemory(echo)
    first, *others = await wire.ask(SECOND + get("X-A: " + "a" * 33 * 1024) + SECOND)
    assert first.status == 200
    refused(others, (431,))


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_body_with_bad_chunks(name: str) -> None:
    message = post(CHUNKED, body=BAD_BODIES[name])
    async with serving(gateway_like) as (_, port):
        answers = parse(await exchange(port, message + SECOND))
        refused(answers, (400,))
        assert len(answers) == 1, "what stood behind it was not answered"


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_body_with_bad_chunks_in_pieces_of_one_byte(name: str) -> None:
    wire = InMemory(gateway_like)
    refused(await wire.ask(*every_cut(post(CHUNKED, body=BAD_BODIES[name]), 300), SECOND, SECOND), (400,))
    assert wire.over


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_body_with_bad_chunks_that_nobody_reads(name: str) -> None:
    async def careless(request: Request) -> Response:
        return Response.text("fine")

    wire = InMemory(careless)
    answers = await wire.ask(*every_cut(post(CHUNKED, body=BAD_BODIES[name]), 300), SECOND)
    assert len(answers) == 1 and answers[0].headers["connection"] == "close"
    assert wire.over


async def gateway_like(request: Request) -> Response:
    """Turns what a body raises into an answer, as the gateway does."""
    from wws.errors import Refusal
    from wws.functions.refuse import refuse

    try:
        return await echo(request)
    except Refusal as refusal:
        return refuse(refusal, openai=False)


# the same request cut in other places is the same request

GOOD = [
    b"POST /a?b=c HTTP/1.1\r\nHost: a.example\r\nContent-Length: 11\r\nX-A: b\r\n\r\nhello world",
    b"PUT /p HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer-A: b\r\n\r\n",
    b"GET http://a.example:8787/abs HTTP/1.1\r\nHost: a.example:8787\r\n\r\n",
    b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n",
    b"DELETE /d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
]
METHODS = ("POST", "PUT", "GET", "HEAD", "DELETE")


async def test_two_hundred_ways_to_cut_the_same_requests() -> None:
    message = b"".join(GOOD)
    expected = bytes((await _answered(message)).transport.written)
    assert [(one.status, one.body) for one in parse(expected, *METHODS)] == [
        (200, b"POST /a?b=c a.example 11 hello world"),
        (200, b"PUT /p [::1]:8080 11 hello world"),
        (200, b"GET /abs a.example:8787 0 "),
        (200, b""),
        (200, b"DELETE /d a 0 "),
    ]
    source = random.Random(20261122)
    for _ in range(200):
        cuts = source.sample(range(1, len(message)), source.randint(1, 40))
        wire = await _answered(*pieces_of(message, cuts))
        assert _undated(wire) == _undated_bytes(expected), cuts
        assert wire.over


async def test_every_byte_of_the_same_requests() -> None:
    message = b"".join(GOOD)
    expected = await _answered(message)
    assert _undated(await _answered(*every_cut(message, 10_000))) == _undated(expected)


async def test_the_same_cut_requests_over_a_socket() -> None:
    message = b"".join(GOOD)
    source = random.Random(7)
    async with serving(echo) as (_, port):
        whole = await exchange(port, message)
        for _ in range(5):
            cuts = source.sample(range(1, len(message)), 12)
            again = await exchange(port, *pieces_of(message, cuts), pause=0.001)
            assert _undated_bytes(again) == _undated_bytes(whole)


async def _answered(*pieces: bytes) -> InMemory:
    wire = InMemory(echo)
    await wire.send(*pieces)
    return wire


def _undated(wire: InMemory) -> list[bytes]:
    return _undated_bytes(bytes(wire.transport.written))


def _undated_bytes(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\r\n") if not line.startswith(b"date: ")]


@pytest.mark.parametrize(
    "message",
    [
        get(host="a_b.example"),
        get(host="127.0.0.1:65535"),
        get(host="[2001:db8::1]"),
        get("X-A:b", "X-B:", "X-C: \t d \t"),
        get("X-A: \xe4\xff"),
        get(*[f"X-{i}: 1" for i in range(99)]),
        get(target="/" + "a" * 8191),
        get("X-A: " + "a" * 31 * 1024),
        get(target="/a?b=[c]|d'e"),
        b"\r\n" + get(),
        b"GET / HTTP/1.0\r\n\r\n",
        b"M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n",
        post(CHUNKED, body=b"5;name=value\r\nhello\r\n0\r\n\r\n"),
        post(CHUNKED, body=b"00000005\r\nhello\r\n0\r\nX: y\r\n\r\n"),
        post("transfer-encoding: Chunked", body=b"0\r\n\r\n"),
        post("Content-Length: 05"),
    ],
)
async def test_what_is_unusual_and_good_is_served(message: bytes) -> None:
    for pieces in ([message], every_cut(message, 200)):
        wire = InMemory(echo)
        assert [answer.status for answer in await wire.ask(*pieces)] == [200]
