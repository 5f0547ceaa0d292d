"""The sandbox: deterministic, honest about itself, and in the shapes that the openai and anthropic packages read."""

from __future__ import annotations

import json
import struct
from base64 import b64decode
from math import isclose, sqrt
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from tests.providers.calls import call
from tests.support.clock import FakeClock
from tests.support.services import NoDial
from wws.core.wire.sse import Event, Parser
from wws.core.wire.tap import UsageTap
from wws.core.wire.usage import from_answer, served_model
from wws.errors import Refusal
from wws.http import Headers, Response, Stream
from wws.providers.sandbox import PREFIX, SandboxProvider

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "where": {"type": "object", "properties": {"lat": {"type": "number"}}},
                "note": {"type": "string"},
            },
            "required": ["city", "days", "unit", "where"],
        },
    },
}
ARGUMENTS = {"city": "sandbox", "days": 1, "unit": "celsius", "where": {"lat": 1.0}}
ANTHROPIC_TOOL = {"name": "get_weather", "input_schema": TOOL["function"]["parameters"]}  # type: ignore[index]


def asking(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


async def answer(operation: str = "chat", **members: Any) -> Response:
    return await SandboxProvider(FakeClock()).send(call(operation, "sandbox-1", **members), NoDial())


async def plain(operation: str = "chat", **members: Any) -> Any:
    response = await answer(operation, **members)
    assert response.status == 200 and isinstance(response.body, bytes)
    return json.loads(response.body)


async def streamed(operation: str = "chat", **members: Any) -> list[Event]:
    response = await answer(operation, stream=True, **members)
    assert isinstance(response.body, Stream)
    assert response.headers["content-type"] == "text/event-stream"
    parser = Parser()
    return [event async for chunk in response.body for event in parser.feed(chunk)]


async def test_a_chat_says_what_it_is() -> None:
    value = await plain(messages=asking("Hello"))
    completion = ChatCompletion.model_validate(value, strict=True)
    [choice] = completion.choices
    assert choice.message.content == PREFIX + "Hello"
    assert "no AI provider" in PREFIX
    assert (choice.finish_reason, completion.model, completion.created) == ("stop", "sandbox-1", 1_790_000_000)
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion.usage.completion_tokens == len(PREFIX + "Hello") // 4


async def test_a_stream_is_the_same_answer_in_words() -> None:
    events = await streamed(messages=asking("Hello there"))
    assert events[-1].data == b"[DONE]"
    *chunks, last = [ChatCompletionChunk.model_validate_json(event.data) for event in events[:-1]]
    assert last.choices == []
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[0].choices[0].delta.content == ""
    text = "".join([chunk.choices[0].delta.content or "" for chunk in chunks])
    assert text == PREFIX + "Hello there"
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks[:-1])
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)
    whole = ChatCompletion.model_validate(await plain(messages=asking("Hello there")))
    assert whole.id == chunks[0].id


@pytest.mark.parametrize(
    ("options", "hidden"),
    [({}, True), ({"stream_options": {}}, True), ({"stream_options": {"include_usage": False}}, True),
     ({"stream_options": {"include_usage": True}}, False)],
)  # fmt: skip
async def test_usage_is_always_told_and_hidden_from_who_did_not_ask(options: dict[str, Any], hidden: bool) -> None:
    """A plain caller's answer is put together from a stream, and the ledger counts tokens of both."""
    made = call("chat", "sandbox-1", stream=True, messages=asking("Hello"), **options)
    response = await SandboxProvider(FakeClock()).send(made, NoDial())
    assert made.hide_usage is hidden
    assert isinstance(response.body, Stream)
    body = b"".join([chunk async for chunk in response.body])
    assert body.count(b'"prompt_tokens"') == 1


async def test_usage_comes_last_when_it_is_asked_for() -> None:
    events = await streamed(messages=asking("Hello"), stream_options={"include_usage": True})
    last = json.loads(events[-2].data)
    assert last["choices"] == []
    assert last["usage"] == (await plain(messages=asking("Hello")))["usage"]
    assert all(json.loads(event.data)["usage"] is None for event in events[:-2])


async def test_a_tool_is_called_when_its_name_is_said() -> None:
    completion = ChatCompletion.model_validate(await plain(messages=asking("Please get_weather for me"), tools=[TOOL]))
    [choice] = completion.choices
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    assert choice.message.tool_calls is not None
    [made] = choice.message.tool_calls
    assert made.type == "function" and made.function.name == "get_weather"
    assert json.loads(made.function.arguments) == ARGUMENTS


async def test_a_tool_call_in_a_stream() -> None:
    events = await streamed(messages=asking("get_weather"), tools=[TOOL])
    chunks = [ChatCompletionChunk.model_validate_json(event.data) for event in events[:-2]]  # then usage and [DONE]
    made = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert [(part.index, part.function.name if part.function else None) for part in made] == [(0, "get_weather")]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("tools", [None, [], "x", [3], [{}], [{"function": {"name": 3}}], [TOOL]])
async def test_no_tool_is_called_that_nobody_asked_for(tools: Any) -> None:
    value = await plain(messages=asking("Hello"), tools=tools)
    assert value["choices"][0]["message"]["content"] == PREFIX + "Hello"


async def test_the_text_parts_of_a_list_are_what_was_said() -> None:
    parts = [
        {"type": "text", "text": "one"},
        {"type": "image_url", "image_url": {"url": "data:,"}},
        {"type": "text", "text": "two"},
    ]
    value = await plain(messages=[{"role": "user", "content": parts}, {"role": "assistant", "content": "x"}])
    assert value["choices"][0]["message"]["content"] == PREFIX + "one two"


async def test_a_message_of_anthropic() -> None:
    message = Message.model_validate(await plain("messages", messages=asking("Hello"), max_tokens=100))
    [block] = message.content
    assert block.type == "text" and block.text == PREFIX + "Hello"
    assert (message.stop_reason, message.model) == ("end_turn", "sandbox-1")
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0


EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


@pytest.mark.parametrize(
    ("tools", "text", "stop"), [(None, "Hello you", "end_turn"), ([ANTHROPIC_TOOL], "get_weather", "tool_use")]
)
async def test_the_events_of_an_anthropic_stream(tools: Any, text: str, stop: str) -> None:
    raw = await streamed("messages", messages=asking(text), max_tokens=100, tools=tools)
    events = [EVENT.validate_json(event.data) for event in raw]
    assert [event.event.decode() for event in raw] == [event.type for event in events]
    assert [events[0].type, events[1].type] == ["message_start", "content_block_start"]
    assert [event.type for event in events[-3:]] == ["content_block_stop", "message_delta", "message_stop"]
    said = ""
    for event in events:
        if event.type == "content_block_delta":
            said += event.delta.text if event.delta.type == "text_delta" else getattr(event.delta, "partial_json", "")
        if event.type == "message_delta":
            assert event.delta.stop_reason == stop
    assert said == PREFIX + text if tools is None else json.loads(said) == ARGUMENTS


async def test_a_tool_use_of_anthropic() -> None:
    message = Message.model_validate(
        await plain("messages", messages=asking("get_weather"), max_tokens=9, tools=[ANTHROPIC_TOOL])
    )
    [block] = message.content
    assert block.type == "tool_use" and block.name == "get_weather" and block.input == ARGUMENTS
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize(("given", "count"), [("a", 1), (["a", "b", "a"], 3), ([1, 2, 3], 1), ([[1], [2]], 2)])
async def test_embeddings_are_unit_vectors_of_their_text(given: Any, count: int) -> None:
    value = await plain("embeddings", input=given)
    vectors = [entry.embedding for entry in CreateEmbeddingResponse.model_validate(value).data]
    assert len(vectors) == count
    assert all(isclose(sqrt(sum(x * x for x in vector)), 1.0, rel_tol=1e-9) for vector in vectors)
    if count == 3:
        assert vectors[0] == vectors[2] != vectors[1]


@pytest.mark.parametrize("size", [1, 2, 512, 4096])
async def test_dimensions_and_base64(size: int) -> None:
    floats = (await plain("embeddings", input="x", dimensions=size))["data"][0]["embedding"]
    coded = (await plain("embeddings", input="x", dimensions=size, encoding_format="base64"))["data"][0]["embedding"]
    assert len(floats) == size
    decoded = struct.unpack(f"<{size}f", b64decode(coded))
    assert all(isclose(a, b, rel_tol=1e-6) for a, b in zip(floats, decoded, strict=True))


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": "x", "dimensions": 0}, "dimensions"),
        ({"input": "x", "dimensions": "4"}, "dimensions"),
    ],
)
async def test_embeddings_that_cannot_be(members: dict[str, Any], param: str) -> None:
    with pytest.raises(Refusal) as refusal:
        await answer("embeddings", **members)
    assert (refusal.value.code, refusal.value.param) == ("invalid_request", param)


@pytest.mark.parametrize("messages", [[], None, "hello", {}])
async def test_a_chat_without_messages_is_refused(messages: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        await answer(messages=messages)
    assert refusal.value.param == "messages"


async def test_models() -> None:
    value = await plain("models")
    assert value["object"] == "list"
    assert [Model.model_validate(entry).owned_by for entry in value["data"]] == ["wws"]


async def test_its_answers_are_good_ones_for_the_tap_and_the_reader() -> None:
    response = await answer(messages=asking("Hello"))
    assert isinstance(response.body, bytes)
    usage = from_answer(response.body)
    assert usage is not None and served_model(response.body) == "sandbox-1"
    assert SandboxProvider(FakeClock()).classify(200, Headers(), response.body) is None
    response = await answer(messages=asking("Hello"), stream=True, stream_options={"include_usage": True})
    assert isinstance(response.body, Stream)
    tap = UsageTap()
    async for chunk in response.body:
        assert tap.feed(chunk) == chunk
    assert tap.end("done") == b""
    assert tap.complete and tap.done and tap.malformed == 0
    assert (tap.usage, tap.model, tap.finish_reason) == (usage, "sandbox-1", "stop")


texts = st.text(max_size=60)


@given(text=texts, stream=st.booleans(), operation=st.sampled_from(["chat", "messages"]))
async def test_the_same_question_has_the_same_answer(text: str, stream: bool, operation: str) -> None:
    async def once() -> bytes:
        response = await answer(operation, messages=asking(text), stream=stream)
        if isinstance(response.body, bytes):
            return response.body
        return b"".join([chunk async for chunk in response.body])

    assert await once() == await once()


@given(first=texts, second=texts)
async def test_another_question_has_another_id(first: str, second: str) -> None:
    one, two = await plain(messages=asking(first)), await plain(messages=asking(second))
    assert (one["id"] == two["id"]) is (first == second)


messages = st.lists(
    st.dictionaries(
        st.sampled_from(["role", "content"]), st.none() | st.text(max_size=4) | st.lists(st.none() | st.text()), max_size=2
    )
)
schemas = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "x"}, {"type": ["string"]}, {"enum": [1]}, {}]),
    lambda inner: st.builds(
        lambda p: {"type": "object", "properties": p}, st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(said=messages, schema=schemas)
async def test_odd_bodies_are_answered_or_refused(said: list[Any], schema: Any) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    try:
        value = await plain(messages=[*said, {"role": "user", "content": "f"}], tools=tools)
    except Refusal as refusal:
        assert refusal.code == "invalid_request"
    else:
        ChatCompletion.model_validate(value)
