"""Putting Anthropic's plain messages together from streams."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.wire.test_assemble import data, put_together
from wws.core.trail import Usage
from wws.core.wire.assemble_message import MessageAssembler


def named(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\n".encode() + data({"type": kind, **members})


START = named(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-served",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 1, "cache_read_input_tokens": 3},
    },
)
END = [
    named("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 7}),
    named("message_stop"),
]


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    return [
        named("content_block_start", index=index, content_block=start),
        *[named("content_block_delta", index=index, delta=delta) for delta in deltas],
        named("content_block_stop", index=index),
    ]


def test_a_message() -> None:
    text = block(0, {"type": "text", "text": ""}, *[{"type": "text_delta", "text": part} for part in ("Hel", "lo")])
    assembler, answer = put_together(START, named("ping"), *text, *END, shape=MessageAssembler)
    assert answer == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-served",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 7, "cache_read_input_tokens": 3},
    }
    assert (assembler.done, assembler.complete, assembler.visible, assembler.model) == (True, True, True, "claude-served")
    assert assembler.usage == Usage(15, 7, 3)


def test_thinking_and_a_tool() -> None:
    thinking = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Let "},
        {"type": "thinking_delta", "thinking": "me"},
        {"type": "signature_delta", "signature": "sig"},
    )
    tool = block(
        1,
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
        *[{"type": "input_json_delta", "partial_json": part} for part in ("", '{"city"', ':"Bern"}')],
    )
    _, answer = put_together(START, *thinking, *tool, *END, shape=MessageAssembler)
    assert answer["content"] == [
        {"type": "thinking", "thinking": "Let me", "signature": "sig"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}},
    ]


def test_a_tool_without_input_and_one_cut_short() -> None:
    empty = block(0, {"type": "tool_use", "id": "a", "name": "f", "input": {}}, {"type": "input_json_delta", "partial_json": ""})
    short = block(
        1, {"type": "tool_use", "id": "b", "name": "g", "input": {}}, {"type": "input_json_delta", "partial_json": '{"a'}
    )
    _, answer = put_together(START, *empty, *short, shape=MessageAssembler)
    assert [part["input"] for part in answer["content"]] == [{}, '{"a']


def test_citations_are_a_list() -> None:
    cited = [{"type": "citations_delta", "citation": {"cited_text": text}} for text in ("a", "b")]
    _, answer = put_together(START, *block(0, {"type": "text", "text": ""}, *cited), shape=MessageAssembler)
    assert answer["content"][0]["citations"] == [{"cited_text": "a"}, {"cited_text": "b"}]


def test_an_anthropic_error() -> None:
    assembler, _ = put_together(
        START, named("error", error={"type": "overloaded_error", "message": "Overloaded"}), *END, shape=MessageAssembler
    )
    assert (assembler.error is not None, assembler.complete, assembler.done) == (True, False, False)


@given(st.lists(st.integers(0, 3000), max_size=30), st.text(max_size=20))
def test_any_cut_gives_the_whole_message(cuts: list[int], text: str) -> None:
    deltas = [{"type": "text_delta", "text": character} for character in text]
    stream = b"".join([START, *block(0, {"type": "text", "text": ""}, *deltas), *END])
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    assembler, answer = put_together(*pieces, shape=MessageAssembler)
    assert answer["content"] == [{"type": "text", "text": text}]
    assert assembler.complete


@pytest.mark.parametrize(
    "odd",
    [
        named("content_block_delta", index=0, delta="x"),
        named("content_block_delta", index=4, delta={"type": "text_delta", "text": "z"}),
        named("content_block_start", index=5, content_block=None),
        named("message_start", message=None),
        named("message_delta", delta=None, usage=None),
        named("a_new_kind", anything=[1]),
    ],
)
def test_odd_anthropic_events_do_no_harm(odd: bytes) -> None:
    text = block(0, {"type": "text", "text": "a"})
    _, answer = put_together(START, *text, odd, *END, shape=MessageAssembler)
    assert answer["content"][0] == {"type": "text", "text": "a"}
    assert answer["stop_reason"] == "end_turn"
