"""OpenAI's own SDK through a running gateway: what its users call, and the exceptions they catch."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import openai as sdk
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until
from tests.support.provider import ECHO, USAGE

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello there"}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def test_chat(openai: OpenAI, around: Neighbours) -> None:
    completion = openai.chat.completions.create(model="auto", messages=HELLO, temperature=0.5, max_tokens=20)
    assert completion.choices[0].message.content == ECHO + "Hello there"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == USAGE["total_tokens"]
    assert completion.model == "thinker"  # the last of the default rules: a reasoning task
    sent = around.main.requests[-1].json
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("thinker", 0.5, 20)


def test_the_headers_that_say_what_happened(openai: OpenAI) -> None:
    raw = openai.chat.completions.with_raw_response.create(model="code", messages=HELLO)
    assert raw.headers["x-wws-provider"] == "main"
    assert raw.headers["x-wws-model"] == "coder"
    assert raw.headers["x-wws-route-reason"] == "alias code"
    assert raw.headers["x-wws-attempts"] == "1"
    assert raw.headers["x-ratelimit-limit-requests"] == "1000"
    assert raw.headers["cache-status"] == "wws; fwd=bypass"
    completion = raw.parse()
    assert completion._request_id == raw.headers["x-request-id"]


def test_a_model_by_its_full_name(openai: OpenAI, around: Neighbours) -> None:
    raw = openai.chat.completions.with_raw_response.create(model="backup/anything-2.5:free", messages=HELLO)
    assert raw.headers["x-wws-model"] == "anything-2.5:free"
    assert around.backup.requests[-1].model == "anything-2.5:free"
    assert not around.main.requests


def test_the_caller_s_credential_stays_here(openai: OpenAI, around: Neighbours, token: str) -> None:
    openai.chat.completions.create(model="code", messages=HELLO, extra_headers={"Cookie": "a=b", "X-User-ID": "root"})
    headers = around.main.requests[-1].headers
    assert token not in str(headers)
    assert headers["authorization"].startswith("Bearer sk-planted-")
    assert not {"cookie", "x-user-id", "x-forwarded-for"} & set(headers)


def test_a_stream(openai: OpenAI, around: Neighbours) -> None:
    with openai.chat.completions.create(model="code", messages=HELLO, stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).strip() == ECHO + "Hello there"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)  # not asked for, so not there
    assert len({chunk.id for chunk in chunks}) == 1
    assert around.main.requests[-1].json["stream_options"] == {"include_usage": True}


def test_a_stream_with_usage(openai: OpenAI) -> None:
    options: sdk.types.chat.ChatCompletionStreamOptionsParam = {"include_usage": True}
    with openai.chat.completions.create(model="code", messages=HELLO, stream=True, stream_options=options) as stream:
        chunks = list(stream)
    *others, last = chunks
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == USAGE["completion_tokens"]
    assert all(chunk.usage is None for chunk in others)


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_are_in_the_books_whoever_asked_for_usage(openai: OpenAI, gateway: Gateway, stream: bool) -> None:
    raw = openai.chat.completions.with_raw_response.create(model="code", messages=HELLO, stream=stream)
    if stream:
        list(raw.parse())
    line = gateway.logged(raw.headers["x-request-id"])
    assert (line["tokens_in"], line["tokens_out"], line["tokens_cached"]) == (12, 7, 4)
    assert (line["status"], line["outcome"], line["stream"]) == (200, "done", stream)


def test_tools(openai: OpenAI) -> None:
    completion = openai.chat.completions.create(model="code", messages=HELLO, tools=[WEATHER], tool_choice="auto")
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    call = choice.message.tool_calls[0]
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Bern"}')


def test_tools_in_a_stream(openai: OpenAI) -> None:
    with openai.chat.completions.create(model="code", messages=HELLO, tools=[WEATHER], stream=True) as stream:
        parts = [part for chunk in stream for part in chunk.choices[0].delta.tool_calls or []]
    functions = [part.function for part in parts if part.function is not None]
    assert functions[0].name == "weather"
    assert "".join(function.arguments or "" for function in functions) == '{"city":"Bern"}'


def test_embeddings(openai: OpenAI, around: Neighbours) -> None:
    found = openai.embeddings.create(model="backup/embedder", input=["one", "two"])
    assert [item.embedding for item in found.data] == [[0.6, 0.8], [0.6, 0.8]]
    assert around.backup.requests[-1].path.endswith("/embeddings")


def test_embeddings_need_a_model(openai: OpenAI) -> None:
    with pytest.raises(sdk.NotFoundError, match="Embeddings need a model: name provider/model"):
        openai.embeddings.create(model="auto", input="one")


def test_the_list_of_models(openai: OpenAI) -> None:
    listed = [model.id for model in openai.models.list()]
    assert listed[:3] == ["auto", "code", "reasoning"]
    assert "main/coder" in listed
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("name", ["auto", "code", "main/coder"])
def test_one_model(openai: OpenAI, name: str) -> None:
    assert openai.models.retrieve(name).id == name


def test_a_model_that_is_not_there(openai: OpenAI) -> None:
    with pytest.raises(sdk.NotFoundError):
        openai.models.retrieve("gpt-17")


# what goes wrong, as the exceptions that programs catch


def test_400_of_our_own(openai: OpenAI, around: Neighbours) -> None:
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.chat.completions.create(model="code", messages=[])
    assert caught.value.param == "messages"
    assert caught.value.code == "invalid_request"
    assert caught.value.type == "invalid_request_error"
    assert not around.main.requests


def test_400_of_the_provider(openai: OpenAI, around: Neighbours) -> None:
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.chat.completions.create(model="main/context", messages=HELLO)
    assert caught.value.code == "context_length_exceeded"
    assert around.main.seen("context") == 1


def test_401(gateway: Gateway, around: Neighbours) -> None:
    with (
        OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-not-a-key-of-this-gateway") as client,
        pytest.raises(sdk.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model="code", messages=HELLO)
    assert caught.value.code == "invalid_api_key"
    assert "sk-not-a-key" not in str(caught.value)
    assert caught.value.response.headers["www-authenticate"].startswith("Bearer")
    assert not around.main.requests


def test_the_provider_s_401_is_not_the_caller_s(openai: OpenAI) -> None:
    with pytest.raises(sdk.InternalServerError) as caught:
        openai.chat.completions.create(model="main/status-401", messages=HELLO)
    assert caught.value.status_code == 502
    assert caught.value.code == "provider_auth_failed"
    assert "upstream text" not in str(caught.value)


def test_404(openai: OpenAI) -> None:
    with pytest.raises(sdk.NotFoundError) as caught:
        openai.chat.completions.create(model="gpt-17", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


def test_404_tells_the_full_name_of_a_model_that_is_meant(openai: OpenAI) -> None:
    with pytest.raises(sdk.NotFoundError, match="Did you mean 'main/coder'"):
        openai.chat.completions.create(model="coder", messages=HELLO)


def test_429_is_retried_by_the_sdk_when_the_limit_lets_it(gateway: Gateway, around: Neighbours, token: str) -> None:
    """The limit is one in a second: the SDK is told how long to wait, waits, and its second try is admitted."""
    with OpenAI(base_url=f"{gateway.url}/short/v1", api_key=token, max_retries=2) as client:
        client.chat.completions.create(model="code", messages=HELLO)
        before = time.monotonic()
        raw = client.chat.completions.with_raw_response.create(
            model="code", messages=HELLO, extra_headers={"X-Request-Id": "retried-by-the-sdk"}
        )
        waited = time.monotonic() - before
    assert raw.status_code == 200
    assert raw.retries_taken == 1  # the wait it was told was enough
    assert around.main.seen("coder") == 2
    lines = until(lambda: _lines(gateway, "retried-by-the-sdk", 2), "both lines")
    assert [line["status"] for line in lines] == [429, 200]
    assert lines[1]["client_retry_count"] == 1
    assert waited >= lines[1]["ts"] - lines[0]["ts"] - 0.01  # what it took was that wait


def _lines(gateway: Gateway, request_id: str, count: int) -> list[dict[str, Any]] | None:
    lines = [line for line in gateway.log if line["request_id"] == request_id]
    return lines if len(lines) == count else None


def test_429_without_retries(gateway: Gateway, token: str) -> None:
    with OpenAI(base_url=f"{gateway.url}/short/v1", api_key=token, max_retries=0) as client:
        client.chat.completions.create(model="code", messages=HELLO)
        with pytest.raises(sdk.RateLimitError) as caught:
            client.chat.completions.create(model="code", messages=HELLO)
    headers = caught.value.response.headers
    assert caught.value.code == "rate_limit_exceeded"
    assert 0 < int(headers["retry-after-ms"]) <= 1017  # a window of 60 parts
    assert int(headers["retry-after"]) == math.ceil(int(headers["retry-after-ms"]) / 1000)
    assert headers["x-should-retry"] == "true"
    assert headers["x-ratelimit-remaining-requests"] == "0"


def test_429_of_every_provider_is_not_retried_again(openai: OpenAI, around: Neighbours) -> None:
    """Our own attempts are spent by then: the SDK's would multiply them."""
    with pytest.raises(sdk.RateLimitError) as caught:
        openai.chat.completions.create(model="limited", messages=HELLO)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert (around.main.seen("status-429-long"), len(around.main.requests)) == (1, 1)
    assert around.backup.seen("status-429") <= 2


def test_503(openai: OpenAI) -> None:
    with pytest.raises(sdk.InternalServerError) as caught:
        openai.chat.completions.create(model="main/status-402", messages=HELLO)
    assert caught.value.status_code == 503
    assert caught.value.code == "provider_billing"
    assert int(caught.value.response.headers["retry-after"]) >= 1


def test_504(openai: OpenAI, around: Neighbours) -> None:
    with pytest.raises(sdk.InternalServerError) as caught:
        openai.chat.completions.create(model="main/silent", messages=HELLO)
    assert caught.value.status_code == 504
    assert caught.value.code == "provider_timeout"
    assert around.main.seen("silent") == 1  # silence is not tried twice


@pytest.mark.parametrize("model", ["main/stream-cut", "main/stream-short", "main/stream-stall", "main/stream-error"])
def test_a_stream_that_breaks_raises(openai: OpenAI, model: str) -> None:
    """The SDK takes a stream that just ends for a whole one, so the gateway has to say that it is not.

    A provider that fails fast enough has sent nothing that was passed on: then there is no stream to break.
    """
    text = ""
    with (
        pytest.raises(sdk.APIError) as caught,
        openai.chat.completions.create(model=model, messages=HELLO, stream=True) as stream,
    ):
        for chunk in stream:
            text += chunk.choices[0].delta.content or ""
    assert (ECHO + "Hello there").startswith(text.strip())
    assert text.strip() != ECHO + "Hello there"
    assert "upstream text" not in str(caught.value)


async def test_many_streams_at_once(gateway: Gateway, around: Neighbours, token: str) -> None:
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=token) as client:

        async def one(number: int) -> str:
            said = f"This is number {number}"
            stream = await client.chat.completions.create(
                model="main/stream-split", messages=[{"role": "user", "content": said}], stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream]).strip()

        texts = await asyncio.gather(*map(one, range(40)))
    assert texts == [f"{ECHO}This is number {number}" for number in range(40)]


def test_a_stream_without_its_end_mark_is_whole(openai: OpenAI) -> None:
    with openai.chat.completions.create(model="main/stream-no-done", messages=HELLO, stream=True) as stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text.strip() == ECHO + "Hello there"


def test_leaving_a_stream_ends_the_provider_s_work(openai: OpenAI, around: Neighbours, gateway: Gateway) -> None:
    raw = openai.chat.completions.with_raw_response.create(model="main/stream-stall", messages=HELLO, stream=True)
    stream = raw.parse()
    next(iter(stream))
    open_before = around.main.open
    stream.close()
    until(lambda: around.main.open < open_before, "the end of the upstream connection")
    assert gateway.logged(raw.headers["x-request-id"])["outcome"] == "client_closed"
