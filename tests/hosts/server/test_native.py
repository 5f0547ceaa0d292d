"""What the C part takes, the parser and the rules take too, and read alike; it takes what is plain, and nothing else."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hosts.server.built import wire
from wws.core.wire import head as rules
from wws.hosts.server import outgoing
from wws.http import Headers, Pair, Response

MOST = 32 * 1024
HOST = b"Host: a.example\r\n"


class Heard:
    """What llhttp makes of a message."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[Pair] = []
        self.heads = self.messages = 0
        self.body = b""
        self.parser: httptools.HttpResponseParser | None = None
        self.keep_alive: bool | None = None  # llhttp forgets it behind the message

    def on_url(self, piece: bytes) -> None:
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.heads += 1
        if self.parser is not None:
            self.keep_alive = self.parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.messages += 1


def test_a_plain_request_is_read() -> None:
    lines = [
        b"POST /v1/chat?x=1 HTTP/1.1",
        b"HOST: a.example:80",
        b"content-Type:\tapplication/json",
        b"X-Own: \xe9",
        b"Content-Length: 12",
    ]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    fields = [(b"host", b"a.example:80"), (b"content-type", b"application/json"), (b"x-own", b"\xe9"), (b"content-length", b"12")]
    assert wire().request(head + b"{}", MOST) == (len(head), "POST", "/v1/chat?x=1", b"a.example:80", fields, dict(fields), 12)


def test_a_plain_answer_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nConnection: Keep-Alive\r\n\r\n"
    fields = [(b"content-length", b"2"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"connection", b"Keep-Alive")]
    assert wire().response(head + b"ok", MOST) == (len(head), 200, fields, dict(fields), 2)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\n" + HOST,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.0\r\n" + HOST + b"\r\n",
        b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n",
        b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /\x7f HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /\xe9 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET http://a.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
        b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GETS / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"a_b: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"a : 1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b": 1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"a\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b" folded\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"a: 1 \r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"a: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"a: 1\rb: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"a: 12345678\x7f\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Upgrade: h2c\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: keep-alive, upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Proxy-Connection: keep-alive\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1234567890123456789\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"n" * 300 + b": 1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"n: 1\r\n" * 100 + b"\r\n",
        b"GET /" + b"a" * rules.MAX_TARGET + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"a: " + b"b" * MOST + b"\r\n\r\n",
    ],
)
def test_a_request_with_a_surprise_is_left(head: bytes) -> None:
    assert wire().request(head, MOST) is None


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
    ],
)
def test_an_answer_with_a_surprise_is_left(head: bytes) -> None:
    assert wire().response(head, MOST) is None


NAMES = st.sampled_from(
    [b"Host", b"host", b"Content-Length", b"content-type", b"Connection", b"X-Own", b"x_own", b"Transfer-Encoding", b"Upgrade",
     b"Expect", b"Cookie", b"Accept", b"Origin", b"X-Request-Id", b"TE", b"a b", b"", b"x\xe9", b"a" * 70]
)  # fmt: skip
VALUES = st.sampled_from(
    [b"a.example", b"a.example:80", b"0", b"1", b"12", b"keep-alive", b"Keep-Alive", b"close", b"chunked", b"x y", b"\t x", b"",
     b" ", b"x ", b"\xe9", b"h2c", b"100-continue", b"\x00", b"\x7f", b"a\rb", b"a\nb", b"0x1", b"+1", b"-1", b"1_0"]
)  # fmt: skip
LINES = st.builds(lambda name, gap, value: name + gap + value, NAMES, st.sampled_from([b": ", b":", b" : ", b":\t", b""]), VALUES)
ENDS = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b"\r\r\n"])
REQUEST_LINES = st.sampled_from(
    [b"GET / HTTP/1.1", b"POST /a?b=c HTTP/1.1", b"PUT /%2F HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET /\" HTTP/1.1",
     b"GET /a\\b|{}^` HTTP/1.1", b"HEAD /~ HTTP/1.1", b"GET /# HTTP/1.1", b"DELETE / HTTP/1.0", b"PATCH // HTTP/1.1",
     b"get / HTTP/1.1", b"GET /\x80 HTTP/1.1"]
)  # fmt: skip
STATUS_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.1 404 ", b"HTTP/1.1 500", b"HTTP/1.1 204 No", b"HTTP/1.1 101 Go", b"HTTP/1.0 200 OK",
     b"HTTP/1.1 200 \xe9", b"HTTP/1.1  200 OK", b"HTTP/1.1 999 X", b"HTTP/1.1 302 Found\t"]
)  # fmt: skip


def heads(first: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    lines = st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=6)
    plain = st.sampled_from([b"", HOST, HOST, b"Content-Length: 3\r\n"])
    return st.tuples(first, ENDS, plain, lines.map(b"".join), st.just(b"\r\n")).map(b"".join)


@given(heads(REQUEST_LINES), st.booleans())
def test_what_is_taken_of_requests_the_parser_reads_alike(head: bytes, more: bool) -> None:
    taken = wire().request(head + (b"GET /next HTTP/1.1\r\n" if more else b""), MOST)
    if taken is None:
        return
    end, method, target, host, fields, first, length = taken
    heard = Heard()
    parser = httptools.HttpRequestParser(heard)
    parser.feed_data(head[:end] + b"x" * length)
    assert (heard.heads, heard.messages, heard.body) == (1, 1, b"x" * length)
    assert heard.fields == fields
    assert dict(fields) == first
    assert (parser.get_http_version(), parser.should_keep_alive(), parser.should_upgrade()) == ("1.1", True, False)
    checked = rules.check("1.1", parser.get_method(), heard.target, heard.fields, first)
    authority = rules.authority_of(host)
    if isinstance(checked, rules.Refused):
        assert authority is None  # the one rule that is left to the caller
    else:
        assert (parser.get_method().decode(), checked) == (method, (target, authority, length))


@given(heads(STATUS_LINES))
def test_what_is_taken_of_answers_the_parser_reads_alike(head: bytes) -> None:
    taken = wire().response(head, MOST)
    if taken is None:
        return
    end, status, fields, first, length = taken
    heard = Heard()
    parser = heard.parser = httptools.HttpResponseParser(heard)
    parser.feed_data(head[:end] + b"x" * length)
    assert (heard.heads, heard.messages, heard.body) == (1, 1, b"x" * length)
    assert (parser.get_status_code(), heard.fields, dict(fields)) == (status, fields, first)
    assert (parser.get_http_version(), heard.keep_alive) == ("1.1", True)


@given(st.binary(max_size=200))
def test_anything_at_all_is_taken_or_left(data: bytes) -> None:
    assert wire().request(data, MOST) is None
    assert wire().response(data, MOST) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"date", b"connection", b"content-length", b"transfer-encoding", b"x-a", b"vary"]), st.binary()
        )
    ),
    st.sampled_from(["", "x-note: 1\r\n", "x-note: \xe9\r\n"]),
    st.binary(max_size=20),
    st.booleans(),
)
def test_an_answer_is_what_plain_python_makes_of_it(fields: list[Pair], notes: str, content: bytes, close: bool) -> None:
    response = Response(content, 200, Headers.trusted(fields))
    response.notes = notes
    date, framing = b"date: now\r\n", b"content-length: %d\r\n" % len(content)
    lines = framing + outgoing.CLOSE if close else framing
    whole = wire().answer(outgoing.STATUS_LINES[200], fields, date, notes, lines, content)
    assert whole == outgoing.head(response, date, framing, close) + content


def test_notes_that_are_no_iso_8859_1_are_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        wire().answer(b"", [], b"", "x: \u20ac\r\n", b"", b"")


@pytest.mark.parametrize("arguments", [(), (b"",), ("", 1), (b"", "1"), (b"", 2**80)])
def test_wrong_arguments_are_said_to_be_wrong(arguments: tuple[object, ...]) -> None:
    for function in (wire().request, wire().response):
        with pytest.raises((TypeError, OverflowError)):
            function(*arguments)


@pytest.mark.parametrize("fields", [[b"a"], [(b"a",)], [(b"a", "b")], [("a", b"b")], ((b"a", b"b"),)])
def test_fields_that_are_none_are_said_to_be_wrong(fields: object) -> None:
    with pytest.raises(TypeError):
        wire().answer(b"", fields, b"", "", b"", b"")
