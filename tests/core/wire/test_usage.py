"""Usage and served model are read from an answer without decoding it, and are what a decoder would find."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.trail import Usage
from wws.core.wire.usage import from_answer, read, served_model

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1790000000,
    "model": "glm-4.6",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30, "prompt_tokens_details": {"cached_tokens": 3}},
}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 20}, Usage(10, 20)),
        ({"prompt_tokens": 10, "completion_tokens": 20, "prompt_tokens_details": None}, Usage(10, 20)),
        ({"prompt_tokens": 10, "completion_tokens": 20, "prompt_tokens_details": {}}, Usage(10, 20)),
        ({"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(10, 2, 4)),
        ({"prompt_tokens": 10, "total_tokens": 10}, Usage(10, 0)),  # embeddings
        ({"prompt_tokens": None, "completion_tokens": 7}, Usage(0, 7)),
        ({"prompt_tokens": -1, "completion_tokens": 2.5}, Usage(0, 0)),
        ({"prompt_tokens": True, "completion_tokens": "9"}, Usage(0, 0)),
        ({"input_tokens": 10, "output_tokens": 20}, Usage(10, 20)),
        (
            {"input_tokens": 10, "output_tokens": 2, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 7},
            Usage(22, 2, 5),
        ),
        ({"input_tokens": 10, "output_tokens": 2, "cache_read_input_tokens": None}, Usage(10, 2)),
        ({}, None),
        (None, None),
        ([], None),
        ("10", None),
    ],
)
def test_usage_objects(usage: object, expected: Usage | None) -> None:
    assert read(usage) == expected


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@pytest.mark.parametrize("dump", [compact, lambda v: json.dumps(v).encode(), lambda v: json.dumps(v, indent=2).encode()])
def test_a_chat_completion_in_any_layout(dump: Any) -> None:
    body = dump(CHAT)
    assert from_answer(body) == Usage(10, 20, 3)
    assert served_model(body) == "glm-4.6"


def test_usage_and_model_in_another_order() -> None:
    body = compact(dict(sorted(CHAT.items(), reverse=True)))
    assert body.startswith(b'{"usage"')
    assert from_answer(body) == Usage(10, 20, 3)
    assert served_model(body) == "glm-4.6"


def test_a_message_of_anthropic() -> None:
    body = compact(
        {"id": "msg_1", "type": "message", "model": "glm-4.6", "content": [], "usage": {"input_tokens": 5, "output_tokens": 6}}
    )
    assert from_answer(body) == Usage(5, 6)
    assert served_model(body) == "glm-4.6"


def test_text_that_looks_like_usage_is_text() -> None:
    trap = '"usage":{"prompt_tokens":999,"completion_tokens":999}} "model":"evil"'
    body = compact(
        {
            "id": "1",
            "choices": [{"message": {"content": trap}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
            "model": "m",
        }
    )
    assert from_answer(body) == Usage(1, 2)
    assert served_model(body) == "m"
    assert from_answer(compact({"choices": [{"message": {"content": trap}}]})) is None


def test_a_token_named_usage_is_not_usage() -> None:
    body = compact({**CHAT, "extra": {"token": "usage", "logprob": {"prompt_tokens": 7}}})
    assert from_answer(body) == Usage(10, 20, 3)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b"<html>", b'{"usage"', b'{"usage":null}', b'{"usage":{}}', b'{"usage":3}', b'"usage"']
)
def test_answers_without_usage(body: bytes) -> None:
    assert from_answer(body) is None


@pytest.mark.parametrize("model", [None, 3, "", "a\r\nx-evil: 1", "a\\u000d", "modèle", "m" * 500, ["m"]])
def test_a_model_that_may_not_stand_in_a_header_is_none(model: object) -> None:
    assert served_model(json.dumps({"id": "1", "model": model}).encode()) is None


def test_a_large_answer() -> None:
    body = compact({**CHAT, "choices": [{"message": {"content": 'é\n"' * 50_000}}]})
    assert from_answer(body) == Usage(10, 20, 3)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8) | st.sampled_from(["usage", '"usage":{', "}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
counts = st.integers(0, 10**9)


@given(
    before=st.dictionaries(st.text(max_size=6).filter(lambda k: k not in ("usage", "model")), json_values, max_size=3),
    after=st.dictionaries(st.text(max_size=6).filter(lambda k: k not in ("usage", "model")), json_values, max_size=3),
    tokens=st.tuples(counts, counts, counts),
    indent=st.sampled_from([None, 1]),
)
def test_what_is_read_is_what_is_there(
    before: dict[str, Any], after: dict[str, Any], tokens: tuple[int, int, int], indent: int | None
) -> None:
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "prompt_tokens_details": {"cached_tokens": tokens[2]}}
    answer = {**before, "model": "served/model", "usage": usage, **{k: v for k, v in after.items() if k not in before}}
    assert from_answer(json.dumps(answer, indent=indent).encode()) == Usage(*tokens)


@given(st.binary(max_size=80))
def test_bytes_of_any_kind_are_no_error(noise: bytes) -> None:
    for body in (noise, b'{"usage":' + noise, b'{"model":' + noise, b'{"usage":{' + noise + b"}}"):
        assert from_answer(body) is None or b"tokens" in body
        assert served_model(body) is None or body.startswith(b'{"model":')
