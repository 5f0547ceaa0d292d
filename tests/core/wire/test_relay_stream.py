"""The state machine of a streamed answer: what is held back, what is sent, when it is over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.wire.relay_stream import HEARTBEAT, LINGER, LINGER_DONE, PING, RelayStream
from wws.core.wire.tap import DONE, UsageTap


def data(value: object) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0) -> bytes:
    return data({"model": "m", "choices": [{"index": index, "delta": delta or {}, "finish_reason": finish}]})


ROLE = chunk({"role": "assistant", "content": ""})
WORD = chunk({"content": "word"})
FINISH = chunk(finish="stop")
ERROR = data({"error": {"message": "upstream text"}})
GOOD = [ROLE, WORD, WORD, FINISH, DONE]


def taken(*chunks: bytes, **options: Any) -> RelayStream:
    stream = RelayStream(**options)
    for sent in chunks:
        stream.take(sent)
    return stream


@pytest.mark.parametrize(
    ("chunks", "state"),
    [
        ([], "nothing_sent"),
        ([b": waiting\n\n"], "nothing_sent"),
        ([b"data: {"], "nothing_sent"),
        ([ROLE], "preamble_only"),
        ([ROLE, WORD], "content_sent"),
        ([ROLE, chunk({"reasoning_content": "hm"})], "content_sent"),
        ([ROLE, WORD, FINISH], "ended"),
        ([ROLE, WORD, FINISH, DONE], "ended"),
        ([ROLE, FINISH], "ended"),
        ([ROLE, ERROR], "ended"),
        ([ROLE, WORD, ERROR], "ended"),
    ],
)
def test_states(chunks: list[bytes], state: str) -> None:
    assert taken(*chunks).state == state


def test_nothing_is_to_be_sent_before_the_first_token() -> None:
    stream = taken(b": hello\n\n", ROLE)
    assert not stream.ready
    stream.take(WORD)
    assert stream.ready
    assert stream.commit() == b": hello\n\n" + ROLE + WORD
    assert stream.feed(WORD) is WORD
    assert stream.commit() == b""


def test_an_error_before_the_first_token_is_no_answer() -> None:
    stream = taken(ROLE, ERROR)
    assert not stream.ready
    assert stream.error is not None
    assert b"upstream text" in stream.error  # for whoever classifies it


def test_a_whole_answer_is_held_back_to_its_end() -> None:
    stream = taken(ROLE, WORD, WORD, whole=True)
    assert not stream.ready
    stream.take(FINISH)
    assert not stream.ready  # usage may follow
    stream.take(DONE)
    assert stream.ready
    assert stream.commit() == b"".join(GOOD)


def test_a_whole_answer_that_fails_late_is_never_ready() -> None:
    stream = taken(ROLE, WORD, WORD, ERROR, DONE, whole=True)
    assert (stream.ready, stream.error is not None) == (False, True)


@given(st.lists(st.integers(0, 800), max_size=20), st.integers(0, 30), st.booleans())
def test_held_back_or_not_the_bytes_are_the_same(cuts: list[int], commit_at: int, whole: bool) -> None:
    stream = b"".join(GOOD)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    relay, out = RelayStream(whole=whole), b""
    for number, (start, end) in enumerate(zip(edges, edges[1:], strict=False)):
        if number == commit_at:
            out += relay.commit()
        if relay.committed:
            out += relay.feed(stream[start:end])
        else:
            relay.take(stream[start:end])
    out += relay.commit()
    assert out + relay.end("done") == stream


def test_a_cut_after_content_is_an_error_and_no_finish() -> None:
    stream = taken(ROLE, WORD)
    sent = stream.commit() + stream.feed(WORD) + stream.end("cut")
    assert b'"error"' in sent
    assert b"[DONE]" not in sent
    assert b'"finish_reason":"stop"' not in sent


def test_one_choice_of_two_is_not_the_whole_answer() -> None:
    stream = taken(chunk({"content": "a"}), chunk({"content": "b"}, index=1), FINISH)
    assert not stream.complete
    stream.commit()
    assert b'"error"' in stream.end("cut")
    other = taken(chunk({"content": "a"}), chunk({"content": "b"}, index=1), FINISH, chunk(finish="length", index=1))
    assert other.complete
    other.commit()
    assert other.end("cut") == DONE


# timers


def committed(*chunks: bytes, **options: Any) -> RelayStream:
    stream = taken(*chunks, **options)
    stream.commit()
    assert stream.tick(100.0) == b""
    return stream


def test_heartbeats_while_the_provider_is_silent() -> None:
    stream = committed(ROLE, WORD, idle=100.0)
    sent = [second for second in range(101, 180) if stream.tick(float(second)) == PING]
    assert sent == [115, 130, 145, 160, 175]
    assert stream.ending == ""


def test_an_event_begins_the_time_anew() -> None:
    stream = committed(ROLE, WORD)
    assert stream.tick(100.0 + HEARTBEAT - 1) == b""
    stream.feed(WORD)
    assert stream.tick(100.0 + HEARTBEAT) == b""
    assert stream.tick(100.0 + 2 * HEARTBEAT - 1) == b""
    assert stream.tick(100.0 + 2 * HEARTBEAT) == PING


@pytest.mark.parametrize("comments", [False, True])
def test_a_stall_is_seen_through_comments(comments: bool) -> None:
    """Neither the provider's comments nor our heartbeats are an answer."""
    stream = committed(ROLE, WORD, idle=30.0)
    for second in range(1, 30):
        if comments:
            stream.feed(b": still here\n\n")
        stream.tick(100.0 + second)
        assert stream.ending == ""
    stream.tick(130.0)
    assert stream.ending == "stall"


def test_a_caller_who_reads_slowly_is_not_the_provider_s_stall() -> None:
    stream = committed(ROLE, WORD, idle=30.0)
    for second in range(1, 200):
        stream.held_up()
        assert stream.tick(100.0 + second) == b""
    assert stream.ending == ""


def test_a_whole_answer_on_a_connection_that_stays_open_is_ended() -> None:
    stream = committed(ROLE, WORD, FINISH)
    assert stream.tick(100.0 + LINGER - 0.1) == b""
    assert stream.ending == ""
    stream.tick(100.0 + LINGER)
    assert stream.ending == "done"
    assert stream.end("done") == DONE


def test_after_the_end_mark_it_is_ended_soon() -> None:
    stream = committed(ROLE, WORD, FINISH, DONE)
    stream.tick(100.0 + LINGER_DONE)
    assert stream.ending == "done"
    assert stream.end("done") == b""


def test_usage_after_the_finish_is_waited_for() -> None:
    stream = committed(ROLE, WORD, FINISH)
    stream.tick(101.0)
    stream.feed(data({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}))
    stream.tick(102.0)
    assert stream.ending == ""
    assert stream.usage is not None


def test_it_is_a_tap() -> None:
    assert issubclass(RelayStream, UsageTap)
