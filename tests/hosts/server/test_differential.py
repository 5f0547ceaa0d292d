"""The same doubtful bytes to WWS and to h11: what WWS serves, h11 understands in the same way, or WWS would be the odd one out.

WWS may refuse what h11 takes; that is what it is stricter for. Where h11 is the stricter one, WWS may serve only what is listed.
"""

from __future__ import annotations

import random
import re

import h11
import pytest

from tests.hosts.server.test_probes import BAD_BODIES, CHUNKED, GOOD, REFUSED, SECOND, get, post
from tests.hosts.server.wire import InMemory, settle
from wws.errors import Refusal
from wws.functions.refuse import refuse
from wws.http import Request, Response

pytestmark = pytest.mark.usefixtures("heads")

Message = tuple[str, str, str, bytes]
"""Method, target in origin form, host, body."""


async def ours(data: bytes) -> list[Message]:
    """The requests that WWS serves of `data`."""
    served: list[Message] = []

    async def app(request: Request) -> Response:
        try:
            body = await request.bytes()
        except Refusal as refusal:
            return refuse(refusal, openai=False)
        served.append((request.method, request.target, request.authority, body))
        return Response.text("ok")

    wire = InMemory(app)
    await wire.send(data)
    wire.transport.lose()  # a body that did not come is given up
    await settle()
    return served


def theirs(data: bytes) -> tuple[list[Message], bool]:
    """The requests that h11 understands of `data`, and whether it then finds the rest malformed."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    seen: list[Message] = []
    while True:
        body = b""
        request: h11.Request | None = None
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError:
                return seen, True
            if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return seen, False
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
        assert request is not None
        seen.append(_message(request, body))
        if request.method == b"CONNECT":
            return seen, False  # what follows is no HTTP to h11
        connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        connection.send(h11.EndOfMessage())
        if connection.our_state is h11.MUST_CLOSE:
            return seen, False
        connection.start_next_cycle()


def _message(request: h11.Request, body: bytes) -> Message:
    target = request.target.decode()
    if "://" in target and not target.startswith("/"):
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    host = dict(request.headers.raw_items()).get(b"Host", dict(request.headers).get(b"host", b"localhost"))
    return request.method.decode(), target, host.decode("latin-1").lower(), body


def plain(data: bytes) -> bytes:
    """`data` without the two things that llhttp forgives and h11 does not: empty lines, or halves of them, before a request
    line (RFC 9112 section 2.2) and several spaces within it (section 3: recipients may take runs of whitespace for one)."""
    data = re.sub(rb"(\A|\r\n\r\n|hello|world)[\r\n]+(?=[A-Z-]+ )", rb"\1", data)
    return re.sub(rb"([A-Z-]+) +([^ \r\n]+) +(HTTP/1\.[01]\r\n)", rb"\1 \2 \3", data)


async def agree(data: bytes) -> int:
    """How many requests both see in it, the same ones."""
    served = await ours(data)
    understood, _ = theirs(data)
    if served != understood[: len(served)]:
        understood, _ = theirs(plain(data))
    assert served == understood[: len(served)], (data, served, understood)
    return len(served)


@pytest.mark.parametrize("name", REFUSED)
async def test_probes(name: str) -> None:
    """None of them is served here, whatever h11 makes of it; a good request before it is the same request to both."""
    assert await ours(REFUSED[name].message + SECOND) == []
    await agree(SECOND + REFUSED[name].message + SECOND)


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_bad_bodies(name: str) -> None:
    assert await ours(post(CHUNKED, body=BAD_BODIES[name])) == []
    await agree(SECOND + post(CHUNKED, body=BAD_BODIES[name]) + SECOND)


async def test_good_requests_are_the_same_requests() -> None:
    data = b"".join(GOOD)
    served, (understood, malformed) = await ours(data), theirs(data)
    assert served == understood and len(served) == len(GOOD) and not malformed


PIECES = [
    b"GET", b"POST", b"HEAD", b" ", b"  ", b"\t", b"/", b"/a?b", b"http://a.example/", b"*", b"HTTP/1.1", b"HTTP/1.0", b"\r\n",
    b"\n", b"\r", b"\r\n\r\n", b"Host: a.example", b"Host:", b"a", b"Content-Length: 5", b"Content-Length: 0", b"Content-Length:",
    b"5", b"0", b"+", b"Transfer-Encoding: chunked", b"Transfer-Encoding:", b"chunked", b",", b";", b"=", b":", b"hello", b"\0",
    b"5\r\nhello\r\n", b"0\r\n\r\n", b"Connection: close", b"Connection: keep-alive", b"X-A: b", b"\x0b", b"\x85", b"x" * 40,
]  # fmt: skip


USUAL = [
    b"GET| |/| |HTTP/1.1|\r\n|Host: a.example|\r\n|\r\n",
    b"POST| |/a?b| |HTTP/1.1|\r\n|Host: a.example|\r\n|Content-Length: 5|\r\n|\r\n|hello",
    b"POST| |/| |HTTP/1.1|\r\n|Host: a.example|\r\n|Transfer-Encoding: chunked|\r\n|X-A: b|\r\n|\r\n|5\r\nhello\r\n|0\r\n\r\n",
    b"GET| |http://a.example/| |HTTP/1.0|\r\n|Connection: keep-alive|\r\n|\r\n",
]


def disturbed(source: random.Random) -> bytes:
    """Two good messages, in which some pieces are left out, doubled, or have another one in their place or before them."""
    found: list[bytes] = []
    for piece in (source.choice(USUAL) + b"|" + source.choice(USUAL)).split(b"|"):
        match source.randrange(40):
            case 0:
                continue
            case 1:
                found += [piece, piece]
            case 2:
                found.append(source.choice(PIECES))
            case 3:
                found += [source.choice(PIECES), piece]
            case _:
                found.append(piece)
    return b"".join(found)


async def test_pieces_of_messages_in_any_order() -> None:
    source = random.Random(20261122)
    for _ in range(1000):
        await agree(b"".join(source.choices(PIECES, k=source.randint(3, 14))))
    served = [await agree(disturbed(source)) for _ in range(3000)]
    assert min(served.count(count) for count in range(3)) > 100, "none, one and both of two messages, and not by chance alone"


async def test_messages_with_a_few_bytes_changed() -> None:
    source = random.Random(42)
    alphabet = b"\r\n \t:;,/0159afxAZ+-_.\0\x0b\x7f\x80\xff%\\\"'"
    served = 0
    for _ in range(4000):
        message = bytearray(
            source.choice([*GOOD, get(), post("Content-Length: 5"), post(CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n")])
        )
        for _ in range(source.randint(1, 3)):
            at = source.randrange(len(message))
            change = source.randrange(3)
            if change == 0:
                message[at] = source.choice(alphabet)
            elif change == 1:
                message.insert(at, source.choice(alphabet))
            else:
                del message[at]
        await agree(bytes(message) + SECOND)
        served += len(await ours(bytes(message) + SECOND))
    assert served > 500  # it is no comparison of nothing with nothing
