"""The user's words, found in both shapes of messages and in what has no shape at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws import codec
from wws.core.wire.prompt import DECODED, ENOUGH, WINDOW, prompt_text


def text_of(messages: Any) -> str:
    return prompt_text(codec.piece(messages))


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_only_the_users_words_in_their_order() -> None:
    messages = [{"role": "system", "content": "rules"}, user("one"), {"role": "assistant", "content": "two"}, user("three")]
    assert text_of(messages) == "one\nthree"


def test_the_text_parts_of_a_list() -> None:
    parts = [
        {"type": "text", "text": "what is"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": "this?"},
        {"type": "tool_result", "content": "a result"},
        {"type": "text", "text": 7},
        "loose",
    ]
    assert text_of([user(parts)]) == "what is\nthis?"


@pytest.mark.parametrize(
    "messages", [[], {}, "text", None, 7, [1, "x", None, []], [user(None)], [user({"a": 1})], [{"content": "x"}]]
)
def test_what_has_no_words_has_none(messages: Any) -> None:
    assert text_of(messages) == ""


def test_escapes_and_unicode_are_decoded() -> None:
    assert prompt_text(codec.raw(b'[{"role":"user","content":"a\\n\\u00fc\\ud83d\\ude00"}]')) == "a\n\u00fc\U0001f600"


def test_what_is_not_json_has_no_words() -> None:
    assert prompt_text(codec.raw(b'[{"role":"user","content":')) == ""


def test_older_messages_are_left_out_once_there_is_enough() -> None:
    text = text_of([user("first"), user("x" * ENOUGH), user("last")])
    assert "first" not in text
    assert text.endswith("x\nlast")


def test_of_a_very_long_array_the_end_is_read_as_it_stands() -> None:
    messages = [user("start"), user("x" * DECODED), user('Prove "it",\nstep by step.')]
    text = text_of(messages)
    assert len(text) <= WINDOW
    assert "start" not in text
    assert 'Prove "it",\nstep by step.' in text


def test_the_end_of_a_very_long_array_may_begin_inside_a_character() -> None:
    text = prompt_text(codec.raw(json.dumps([user("\u9577" * DECODED)], ensure_ascii=False).encode()))
    assert set(text[:100]) == {"\u9577"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(json_values)
def test_no_shape_makes_it_fail(value: Any) -> None:
    assert isinstance(text_of(value), str)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system", "tool"]), st.text(max_size=30)), max_size=6))
def test_it_is_every_user_text_and_nothing_else(turns: list[tuple[str, str]]) -> None:
    messages = [{"role": role, "content": content} for role, content in turns]
    assert text_of(messages) == "\n".join([content for role, content in turns if role == "user"])
