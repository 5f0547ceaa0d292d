"""Anthropic's own SDK through a running gateway."""

from __future__ import annotations

from collections.abc import Iterable

import anthropic as sdk
import pytest
from anthropic import Anthropic
from anthropic.types import MessageParam

from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway
from tests.support.provider import ECHO

HELLO: Iterable[MessageParam] = [{"role": "user", "content": "Hello there"}]


def test_create(anthropic: Anthropic, around: Neighbours) -> None:
    message = anthropic.messages.create(model="main/claude", max_tokens=64, messages=HELLO)
    assert message.content[0].type == "text"
    assert message.content[0].text == ECHO + "Hello there"
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (12, 7)
    sent = around.main.requests[-1]
    assert sent.path == "/anthropic/v1/messages"
    assert sent.json["max_tokens"] == 64
    assert sent.headers["anthropic-version"]  # the SDK's, whichever it is


def test_the_headers_that_say_what_happened(anthropic: Anthropic, gateway: Gateway) -> None:
    raw = anthropic.messages.with_raw_response.create(model="code", max_tokens=64, messages=HELLO)
    assert raw.headers["x-wws-model"] == "coder"
    assert raw.headers["x-wws-attempts"] == "1"
    line = gateway.logged(raw.headers["x-request-id"])
    assert (line["tokens_in"], line["tokens_out"]) == (12, 7)


def test_the_caller_s_key_stays_here(anthropic: Anthropic, around: Neighbours, token: str) -> None:
    anthropic.messages.create(model="main/claude", max_tokens=64, messages=HELLO)
    headers = around.main.requests[-1].headers
    assert token not in str(headers)
    assert headers["x-api-key"].startswith("sk-planted-")


def test_a_bearer_token(gateway: Gateway, token: str) -> None:
    with Anthropic(base_url=gateway.url, auth_token=token) as client:
        message = client.messages.create(model="main/claude", max_tokens=64, messages=HELLO)
    assert message.role == "assistant"


def test_a_stream(anthropic: Anthropic) -> None:
    with anthropic.messages.stream(model="main/claude", max_tokens=64, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == ECHO + "Hello there"
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 7


def test_the_events_of_a_stream(anthropic: Anthropic) -> None:
    with anthropic.messages.create(model="main/claude", max_tokens=64, messages=HELLO, stream=True) as stream:
        kinds = [event.type for event in stream]
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.parametrize("model", ["main/stream-cut", "main/stream-short", "main/stream-stall"])
def test_a_stream_that_breaks_raises(anthropic: Anthropic, model: str) -> None:
    with (
        pytest.raises(sdk.APIError),
        anthropic.messages.create(model=model, max_tokens=64, messages=HELLO, stream=True) as stream,
    ):
        list(stream)


def test_400(anthropic: Anthropic, around: Neighbours) -> None:
    with pytest.raises(sdk.BadRequestError, match="must not be empty"):
        anthropic.messages.create(model="main/claude", max_tokens=64, messages=[])
    assert not around.main.requests


def test_401(gateway: Gateway) -> None:
    with (
        Anthropic(base_url=gateway.url, api_key="sk-ant-not-a-key-of-this-gateway") as client,
        pytest.raises(sdk.AuthenticationError) as caught,
    ):
        client.messages.create(model="main/claude", max_tokens=64, messages=HELLO)
    assert caught.value.type == "authentication_error"


def test_404(anthropic: Anthropic) -> None:
    with pytest.raises(sdk.NotFoundError):
        anthropic.messages.create(model="claude-17", max_tokens=64, messages=HELLO)


def test_404_where_no_provider_of_the_model_has_this_endpoint(anthropic: Anthropic, around: Neighbours) -> None:
    with pytest.raises(sdk.NotFoundError, match="No provider of this model has this endpoint"):
        anthropic.messages.create(model="backup/claude", max_tokens=64, messages=HELLO)
    assert not around.backup.requests


def test_429(gateway: Gateway, token: str) -> None:
    with Anthropic(base_url=f"{gateway.url}/short", api_key=token, max_retries=0) as client:
        client.messages.create(model="main/claude", max_tokens=64, messages=HELLO)
        with pytest.raises(sdk.RateLimitError) as caught:
            client.messages.create(model="main/claude", max_tokens=64, messages=HELLO)
    assert caught.value.type == "rate_limit_error"
    assert caught.value.response.headers["retry-after"] in ("1", "2")  # a second and the 60th part of one, rounded up


def test_429_is_retried_by_the_sdk(gateway: Gateway, around: Neighbours, token: str) -> None:
    with Anthropic(base_url=f"{gateway.url}/short", api_key=token, max_retries=2) as client:
        client.messages.create(model="main/claude", max_tokens=64, messages=HELLO)
        raw = client.messages.with_raw_response.create(model="main/claude", max_tokens=64, messages=HELLO)
    assert raw.retries_taken == 1
    assert around.main.seen("claude") == 2


def test_503(anthropic: Anthropic, around: Neighbours) -> None:
    with pytest.raises(sdk.InternalServerError) as caught:
        anthropic.messages.create(model="main/status-503", max_tokens=64, messages=HELLO)
    assert caught.value.status_code == 503
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert around.main.seen("status-503") == 2  # the gateway's own attempts, and none of the SDK's
