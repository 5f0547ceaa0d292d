"""The tap: what it learns of a stream, what passes, and how a stream ends for its caller."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wws.core.trail import Usage
from wws.core.wire.sse import MAX_EVENT, Event, Parser
from wws.core.wire.tap import DONE, UsageTap, error_event


def data(value: object) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **members: Any) -> bytes:
    return data(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "served-1",
            "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
            **members,
        }
    )


USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
ROLE = chunk({"role": "assistant", "content": ""})
TEXT = [chunk({"content": word}, usage=None) for word in ("Hel", "lo €", ' "usage":{} ')]
FINISH = chunk(finish="stop")
USAGE_CHUNK = data(
    {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "served-1", "choices": [], "usage": USAGE}
)
GOOD = [ROLE, *TEXT, FINISH, USAGE_CHUNK, DONE]


def run(tap: UsageTap, chunks: list[bytes], outcome: str = "done") -> bytes:
    return b"".join([tap.feed(c) for c in chunks]) + tap.end(outcome)


def test_a_good_stream_passes_untouched_and_is_understood() -> None:
    tap = UsageTap()
    for sent in GOOD:
        assert tap.feed(sent) is sent
    assert tap.end("done") == b""
    assert tap.usage == Usage(9, 3)
    assert (tap.model, tap.finish_reason, tap.done, tap.error, tap.malformed) == ("served-1", "stop", True, None, 0)
    assert tap.complete


@given(st.lists(st.integers(0, 2000), max_size=60), st.sampled_from([b"\n", b"\r\n"]))
@example([len(b"".join(GOOD).replace(b"\n", b"\r\n")) - 1], b"\r\n")
def test_any_cut_gives_the_same_bytes_and_the_same_facts(cuts: list[int], newline: bytes) -> None:
    stream = b"".join(GOOD).replace(b"\n", newline)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    tap = UsageTap()
    assert run(tap, [stream[a:b] for a, b in zip(edges, edges[1:], strict=False)]) == stream
    assert (tap.usage, tap.model, tap.finish_reason, tap.done) == (Usage(9, 3), "served-1", "stop", True)


@given(st.lists(st.integers(0, 2000), max_size=60))
def test_only_whole_events_leave(cuts: list[int]) -> None:
    stream = b"".join(GOOD)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    tap = UsageTap()
    for start, end in zip(edges, edges[1:], strict=False):
        out = tap.feed(stream[start:end])
        assert out == b"" or out.endswith(b"\n\n")


_PIECES = st.sampled_from(
    [
        b"a",
        b" word",
        "\u20ac".encode(),
        b"\\n",
        b"\\\\",
        b'\\"',
        b'"',
        b"\n",
        b"\r",
        b"\x01",
        b"\x7f",
        b"\xff",
        b"\\u000",
        b"another",
    ]
    + [b'"},"finish_reason":"stop"}]', b'","content":"', b'"}}],"usage":{"completion_tokens":1},"x":[{"y":{"z":"', b'"', b"}"]
)
_TEXT = st.lists(_PIECES, max_size=4).map(b"".join)
_FORMS = st.sampled_from(
    [
        b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n',
        b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}],"usage":null}\n\n',
        b'data: {"choices":[{"index":1,"delta":{"role":"a","content": "%b"}}]}\n\n',
        b'data: {"choices":[{"delta":{"reasoning_content":"%b"}}],"error":null}\n\n',
        b'data: {"choices":[{"delta":{"content":"%b"},"finish_reason":"stop"}],"usage":{"completion_tokens":2}}\n\n',
        b'event: x\ndata: {"choices":[{"delta":{"content":"%b"}}]}\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"%b"}}\n\n',
        b'data: {"error":"%b"}\n\n',
        b": %b\n\n",
    ]
)
_EVENTS = st.tuples(_FORMS, st.lists(_TEXT, min_size=1, max_size=6)).map(lambda one: [one[0] % text for text in one[1]])


@given(st.lists(_EVENTS, max_size=5), st.booleans(), st.sampled_from(["openai", "anthropic"]), st.booleans())
@example([[chunk({"content": word}) for word in ("a", "b", "c\\", 'd"')]], False, "openai", True)
def test_what_is_known_of_the_last_event_changes_nothing(
    events: list[list[bytes]], joined: bool, shape: Literal["openai", "anthropic"], hide: bool
) -> None:
    """Events that are like one before are not decoded: the same must pass, and be known, as if they were."""
    taps = [UsageTap(shape, hide_usage=hide), UsageTap(shape, hide_usage=hide)]
    taps[1]._lessons = 0
    for several in events:
        for piece in [b"".join(several)] if joined else several:
            assert taps[0].feed(piece) == taps[1].feed(piece)
            assert _facts(taps[0]) == _facts(taps[1])
    assert taps[0].end("done") == taps[1].end("done")


def _facts(tap: UsageTap) -> tuple[object, ...]:
    return (tap.usage, tap.model, tap.finish_reason, tap.visible, tap.error, tap.done, tap.malformed, tap.events, tap.complete)


def test_an_event_like_the_one_before_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    tap = UsageTap()
    tap.feed(ROLE)
    tap.feed(chunk({"content": "first"}))
    monkeypatch.setattr("wws.core.wire.tap.codec.decode", lambda data: pytest.fail("decoded"))
    for word in ("second", " ", "", "\u20ac \U0001f600"):
        assert tap.feed(chunk({"content": word})) == chunk({"content": word})
    assert tap.feed(chunk({"content": "x"}) * 3) == chunk({"content": "x"}) * 3
    assert tap.events == 9


@pytest.mark.parametrize("text", ['"', '"x', 'x"', '"x"y"', '"x\\"', '"x\x1f"', '"x\\u00"'])
def test_an_event_that_only_looks_like_the_one_before_is_decoded(text: str) -> None:
    taps = [UsageTap(), UsageTap()]
    taps[1]._lessons = 0
    for tap in taps:
        assert tap.feed(chunk({"content": "x"})) == tap.feed(chunk({"content": "x"})) != b""
    odd = chunk({"content": "x"}).replace(b'"x"', text.encode())
    assert taps[0].feed(odd) == taps[1].feed(odd)
    assert _facts(taps[0]) == _facts(taps[1])
    assert taps[0].malformed == 1


def test_visible_is_the_first_token_of_any_kind() -> None:
    for delta in ({"content": "x"}, {"reasoning_content": "x"}, {"reasoning": "x"}, {"tool_calls": [{"index": 0}]}):
        tap = UsageTap()
        tap.feed(ROLE)
        assert not tap.visible
        tap.feed(chunk(delta))
        assert tap.visible


def test_comments_pass() -> None:
    tap = UsageTap()
    assert tap.feed(b": ping\n\n") == b": ping\n\n"
    assert not tap.visible and tap.malformed == 0


def test_the_usage_chunk_is_hidden_from_a_caller_who_did_not_ask() -> None:
    tap = UsageTap(hide_usage=True)
    assert run(tap, GOOD) == b"".join([ROLE, *TEXT, FINISH, DONE])
    assert tap.usage == Usage(9, 3)


def test_usage_beside_choices_stays() -> None:
    tap = UsageTap(hide_usage=True)
    last = chunk(finish="stop", usage=USAGE)
    assert tap.feed(last) == last
    assert tap.usage == Usage(9, 3)


def test_empty_choices_and_odd_shapes_are_no_error() -> None:
    tap = UsageTap()
    odd: list[dict[str, Any]] = [
        {"choices": []},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"delta": 3}]},
        {"choices": "x"},
        {"usage": 7},
        {"model": 3},
    ]
    for event in odd:
        assert tap.feed(data(event)) == data(event)
    assert (tap.usage, tap.model, tap.malformed) == (None, None, 0)


def test_a_malformed_event_does_not_pass() -> None:
    tap = UsageTap()
    bad = [b'data: {"choices":[{"delta":{"content":"hal\n\n', b"data: oops\n\n", b"data: []\n\n"]
    assert run(tap, [ROLE, *bad, *TEXT, FINISH, DONE]) == b"".join([ROLE, *TEXT, FINISH, DONE])
    assert tap.malformed == 3


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("done", "upstream_disconnect"), ("cut", "upstream_disconnect"), ("stall", "provider_timeout"), ("error", "provider_error")],
)
def test_an_answer_cut_short_ends_with_an_error_and_no_end_mark(outcome: str, code: str) -> None:
    tap = UsageTap()
    out = run(tap, [ROLE, *TEXT, b'data: {"choi'], outcome)
    assert out.startswith(b"".join([ROLE, *TEXT]))
    [event] = Parser().feed(out[len(b"".join([ROLE, *TEXT])) :])
    error = json.loads(event.data)["error"]
    assert error["code"] == error["type"] == code and error["param"] is None and error["message"]
    assert not tap.complete
    assert tap.end(outcome) == b""


def test_nothing_at_all_is_an_answer_cut_short() -> None:
    assert b"upstream_disconnect" in UsageTap().end("done")


@pytest.mark.parametrize("outcome", ["done", "cut", "stall"])
def test_a_finish_reason_makes_the_answer_whole_and_the_end_mark_is_ours(outcome: str) -> None:
    tap = UsageTap()
    assert run(tap, [ROLE, *TEXT, FINISH], outcome) == b"".join([ROLE, *TEXT, FINISH, DONE])
    assert tap.complete


def test_after_the_end_mark_nothing_is_added() -> None:
    tap = UsageTap()
    assert run(tap, GOOD, "cut") == b"".join(GOOD)


def test_a_last_event_without_its_blank_line_counts() -> None:
    tap = UsageTap()
    out = run(tap, [ROLE, FINISH, b"data: [DONE]\n"])
    assert [e.data for e in Parser().feed(out)][-1] == b"[DONE]"
    assert tap.done


def test_a_client_that_left_gets_no_last_words() -> None:
    tap = UsageTap()
    tap.feed(ROLE)
    assert tap.end("client_closed") == b""


def test_the_end_of_the_gateway_is_no_failure_of_the_provider() -> None:
    tap = UsageTap()
    out = run(tap, [ROLE, *TEXT], "stopped")
    error = json.loads([event.data for event in Parser().feed(out)][-1])["error"]
    assert (error["code"], error["message"]) == (
        "overloaded",
        "The gateway was stopped before the answer was complete. Ask again.",
    )
    assert not tap.complete and DONE not in out
    whole = UsageTap()
    assert run(whole, GOOD, "stopped") == b"".join(GOOD)


def test_an_error_inside_the_stream_is_said_in_our_words_and_ends_it() -> None:
    tap = UsageTap()
    out = run(tap, [ROLE, data({"error": {"code": "1305", "message": "secret upstream text"}}), *TEXT, DONE])
    assert b"secret" not in out
    assert out == ROLE + error_event("openai", "provider_error", "The provider failed before the answer was complete.")
    assert tap.error is not None and b"1305" in tap.error
    assert not tap.complete


def test_on_error_chooses_the_words() -> None:
    seen: list[bytes] = []

    def words(event: bytes) -> bytes:
        seen.append(event)
        return error_event("openai", "provider_overloaded", "Busy.")

    tap = UsageTap(on_error=words)
    assert tap.feed(data({"error": "down"})) == error_event("openai", "provider_overloaded", "Busy.")
    assert seen == [b'{"error":"down"}']


def test_finish_reasons_of_the_provider_are_renamed_or_errors() -> None:
    finish = {"sensitive": "content_filter", "network_error": None}
    tap = UsageTap(finish=finish)
    [event] = Parser().feed(tap.feed(chunk(finish="sensitive", usage=USAGE)))
    assert json.loads(event.data)["choices"][0]["finish_reason"] == "content_filter"
    assert (tap.finish_reason, tap.usage) == ("sensitive", Usage(9, 3))
    tap = UsageTap(finish=finish)
    assert b"provider_error" in tap.feed(chunk(finish="network_error"))
    assert not tap.complete


def test_an_event_over_the_limit_ends_the_stream() -> None:
    tap = UsageTap()
    out = tap.feed(b"data: " + b"x" * (MAX_EVENT + 1))
    assert b"too large" in out
    assert tap.feed(TEXT[0]) == tap.end("done") == b""


MESSAGE_START = {"model": "glm-4.6", "usage": {"input_tokens": 9, "cache_read_input_tokens": 2, "output_tokens": 1}}
MESSAGE_EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("message_start", {"message": MESSAGE_START}),
    ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
    ("ping", {}),
    ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
    ("content_block_stop", {"index": 0}),
    ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}),
    ("message_stop", {}),
]
ANTHROPIC = [b"event: " + kind.encode() + b"\n" + data({"type": kind, **members}) for kind, members in MESSAGE_EVENTS]


def test_a_message_stream_of_anthropic() -> None:
    tap = UsageTap("anthropic")
    for sent in ANTHROPIC:
        assert tap.feed(sent) == sent
    assert tap.end("done") == b""
    assert (tap.usage, tap.model, tap.finish_reason, tap.done, tap.visible) == (
        Usage(11, 5, 2),
        "glm-4.6",
        "end_turn",
        True,
        True,
    )


def test_a_message_stream_cut_short() -> None:
    tap = UsageTap("anthropic")
    out = run(tap, ANTHROPIC[:4], "cut")
    [event] = Parser().feed(out[len(b"".join(ANTHROPIC[:4])) :])
    assert event.event == b"error"
    body = json.loads(event.data)
    assert body["type"] == "error" and body["error"]["type"] == "api_error"


def test_a_message_stream_that_only_lacks_its_stop() -> None:
    out = run(UsageTap("anthropic"), ANTHROPIC[:-1], "done")
    assert Parser().feed(out)[-1] == Event(b'{"type":"message_stop"}', b"message_stop")


def test_an_error_event_of_anthropic() -> None:
    tap = UsageTap("anthropic")
    out = tap.feed(b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"raw"}}\n\n')
    assert b"raw" not in out and b"event: error" in out
    assert tap.error is not None
    assert b"overloaded_error" in error_event("anthropic", "provider_overloaded", "x")
