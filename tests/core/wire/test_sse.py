"""SSE: the same events however the bytes are cut, and the standard's own examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.wire.sse import MAX_EVENT, Event, EventTooLarge, Parser, Splitter, parse, write


def events_of(stream: bytes, cuts: list[int]) -> list[Event]:
    parser = Parser()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [event for start, end in zip(edges, edges[1:], strict=False) for event in parser.feed(stream[start:end])]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [Event(b"a")]),
        (b"data:a\n\n", [Event(b"a")]),
        (b"data:  a\n\n", [Event(b" a")]),  # one space is removed, not two
        (b"data: a\r\n\r\n", [Event(b"a")]),
        (b"data: a\r\r", [Event(b"a")]),
        (b"data: a\n\r\n", [Event(b"a")]),
        (b"data: a\r\r\n", [Event(b"a")]),
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event(b"YHOO\n+2\n10")]),
        # the standard's example: a comment; data with an id; an id alone; data with two spaces
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [Event(b"first event", id=b"1"), Event(b"second event"), Event(b" third event")],
        ),
        # the standard's example: two events of empty data and of one LF; the last block has no blank line
        (b"data\n\ndata\ndata\n\ndata:", [Event(b""), Event(b"\n")]),
        (b"event: error\ndata: {}\n\n", [Event(b"{}", b"error")]),
        (b"event: ping\n\n", []),
        (b"id: 1\0\ndata: a\n\n", [Event(b"a")]),
        (b"retry: 10\nunknown: x\ndata: a\n\n", [Event(b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),
        (b"data: a\n\n\n\n\ndata: b\n\n", [Event(b"a"), Event(b"b")]),
        (b"data: \xe2\x82\xac\n\n", [Event("€".encode())]),
        (b"data: never ended\n", []),
        (b"data: a\r\ndata: b\r\n\r\n", [Event(b"a\nb")]),
    ],
)
def test_streams_of_the_standard(stream: bytes, expected: list[Event]) -> None:
    assert events_of(stream, []) == expected
    assert events_of(stream, list(range(len(stream)))) == expected


line = st.one_of(
    st.builds(lambda v: b"data: " + v, st.binary(max_size=12)),
    st.sampled_from([b"data", b"event: x", b": ping", b"id: 7", b"", b"", "data: €ß漢".encode()]),
)
streams = st.lists(st.tuples(line, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=20).map(
    lambda lines: b"".join(text + end for text, end in lines)
)


@given(streams, st.lists(st.integers(0, 300), max_size=40))
def test_any_cut_of_the_bytes_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    assert events_of(stream, cuts) == events_of(stream, [])


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=40))
def test_arbitrary_bytes_are_neither_lost_nor_an_error(stream: bytes, cuts: list[int]) -> None:
    splitter = Splitter()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    out = [raw for start, end in zip(edges, edges[1:], strict=False) for raw in splitter.feed(stream[start:end])]
    assert b"".join(out) + splitter.pending == stream
    assert events_of(stream, cuts) == events_of(stream, [])


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.sampled_from([b"", b"error"]))
def test_what_is_written_is_read_back(lines: list[bytes], name: bytes) -> None:
    data = b"\n".join(lines)
    assert parse(write(data, name)) == Event(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), name)


def test_an_event_over_the_limit_is_an_error_before_it_is_whole() -> None:
    parser = Parser(limit=100)
    assert parser.feed(b"data: " + b"x" * 80) == []
    with pytest.raises(EventTooLarge):
        parser.feed(b"x" * 80)


def test_an_event_over_the_limit_is_an_error_when_it_comes_at_once() -> None:
    with pytest.raises(EventTooLarge):
        Parser(limit=100).feed(b"data: " + b"x" * 200 + b"\n\n")


def test_a_large_event_in_small_reads_is_one_event() -> None:
    parser = Parser()
    body = b"x" * (MAX_EVENT - 100)
    stream = b"data: " + body + b"\n\n"
    events = [event for at in range(0, len(stream), 16384) for event in parser.feed(stream[at : at + 16384])]
    assert events == [Event(body)]
    assert parser.pending == b""
