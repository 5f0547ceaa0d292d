"""The bytes that are sent and answered."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.payload import (
    CHAT_ANSWER,
    EVENT,
    REFUSAL,
    chat_body,
    chunked,
    generate_body,
    paced_model,
    read_model,
    stream_answer,
)


@given(size=st.integers(300, 5000), stream=st.booleans())
def test_a_chat_body_has_exactly_the_size_asked_for(size: int, stream: bool) -> None:
    body = chat_body("auto", size, stream)
    assert len(body) == size
    fields = json.loads(body)
    assert fields["model"] == "auto"
    assert fields["stream"] is stream
    assert [message["role"] for message in fields["messages"]] == ["system", "user"]


def test_a_chat_body_cannot_be_smaller_than_its_members() -> None:
    with pytest.raises(ValueError, match="at least"):
        chat_body("auto", 20)


def test_a_generate_body_has_exactly_the_size_asked_for() -> None:
    assert len(generate_body(1024)) == 1024
    assert set(json.loads(generate_body())["prompt"]) == {"x"}


def test_the_answer_is_a_chat_completion_of_about_1_kb() -> None:
    answer = json.loads(CHAT_ANSWER)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["usage"]["total_tokens"] == 400
    assert 900 < len(CHAT_ANSWER) < 1100


def test_the_refusal_is_an_error_object() -> None:
    assert set(json.loads(REFUSAL)["error"]) == {"message", "type", "param", "code"}


def test_a_stream_is_events_that_end_as_openai_ends_them() -> None:
    events = stream_answer(60).decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert sum("content" in chunk["choices"][0]["delta"] for chunk in chunks[1:]) == 60
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 60
    assert EVENT.startswith(b"data: {") and 120 < len(EVENT) < 200


@given(data=st.binary(min_size=1, max_size=5000))
def test_a_chunk_gives_its_length_in_hexadecimal(data: bytes) -> None:
    size, _, rest = chunked(data).partition(b"\r\n")
    assert int(size, 16) == len(data)
    assert rest == data + b"\r\n"


@given(events=st.integers(0, 10**9), every=st.integers(0, 10**6))
def test_a_paced_model_is_read_back(events: int, every: int) -> None:
    assert read_model(paced_model(events, every)) == (events, every)


@given(st.text())
def test_other_models_ask_for_no_pace(name: str) -> None:
    paced = read_model(name)
    assert paced is None or paced_model(*paced).startswith("paced-")


@pytest.mark.parametrize("name", ["", "bench", "paced", "paced-1", "paced-a-2", "paced-1-2-3", "paced--1-2", "x-1-2"])
def test_what_is_nearly_a_paced_model(name: str) -> None:
    assert read_model(name) is None
