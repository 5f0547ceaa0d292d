"""A response as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hosts.server.wire import parse
from wws.hosts.server import outgoing
from wws.http import Headers, Response

OURS = b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
THEIRS = "Tue, 15 Nov 1994 08:12:31 GMT"
EMPTY = b"content-length: 0\r\n"


def test_ours_is_added_where_there_is_no_date() -> None:
    data = outgoing.head(Response(headers={"content-type": "text/plain"}), OURS, EMPTY, False)
    assert data == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" + OURS + EMPTY + b"\r\n"


def test_the_origin_s_date_stands_alone() -> None:
    """RFC 9110 section 6.6.1: a recipient adds a Date only where the message lacks one."""
    data = outgoing.head(Response(headers=Headers([("a", "1"), ("date", THEIRS), ("b", "2")])), OURS, EMPTY, True)
    [answer] = parse(data)
    assert answer.headers == {"a": "1", "date": THEIRS, "b": "2", "content-length": "0", "connection": "close"}


def test_the_gateway_s_lines_are_sent_as_they_are() -> None:
    response = Response(status=429)
    response.notes = "x-request-id: r-1\r\nserver-timing: total;dur=0.10\r\n"
    [answer] = parse(outgoing.head(response, OURS, EMPTY, False))
    assert (answer.status, answer.headers["x-request-id"], answer.headers["server-timing"]) == (429, "r-1", "total;dur=0.10")


@pytest.mark.parametrize("status", [200, 299, 404, 499, 503, 599, 799])
def test_every_status_has_a_line(status: int) -> None:
    [answer] = parse(outgoing.head(Response(status=status), OURS, EMPTY, False))
    assert answer.status == status


@pytest.mark.parametrize(("status", "wait"), [(400, None), (408, None), (431, None), (503, "1")])
def test_what_is_refused_before_it_is_a_request(status: int, wait: str | None) -> None:
    [answer] = parse(outgoing.refusal(status, "No.", OURS))
    assert answer.body == b"No.\n"
    assert answer.headers.get("retry-after") == wait
    assert (answer.headers["connection"], answer.headers["cache-control"]) == ("close", "no-store")


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_chunks_come_back_as_they_were(pieces: list[bytes]) -> None:
    data = outgoing.head(Response(), OURS, b"transfer-encoding: chunked\r\n", False)
    data += b"".join(map(outgoing.chunk, pieces)) + outgoing.LAST_CHUNK
    assert parse(data)[0].body == b"".join(pieces)
