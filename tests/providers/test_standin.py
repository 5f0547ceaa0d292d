"""A provider class, the self-hosted Dial and the stand-in provider over real sockets: each behaviour is understood."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.providers.calls import HELLO, call
from tests.support.provider import BEHAVIOURS, ECHO, STATUSES, Exchange, ProviderStandIn, first, status
from wws.bindings import SystemClock, Verdict
from wws.core.policy import ProviderConfig, Timeouts
from wws.core.trail import Usage
from wws.core.wire.sse import Parser
from wws.core.wire.tap import UsageTap
from wws.core.wire.usage import from_answer, served_model
from wws.errors import UpstreamCut, UpstreamError, UpstreamMalformed, UpstreamTimeout
from wws.hosts.server.dialer import Dialer
from wws.http import Stream
from wws.providers.compat import CompatProvider
from wws.providers.dialect import STATUSES as MEANINGS
from wws.providers.zai import ZAI

BRISK = Timeouts(connect=1.0, first_byte=0.15, first_token=0.15, idle=0.15, total=5.0)


class World:
    """A stand-in, a provider class that talks to it, and the Dial between them."""

    def __init__(self, standin: ProviderStandIn) -> None:
        self.standin = standin
        self.dialer = Dialer(asyncio.get_running_loop())
        config = ProviderConfig("standin", "zai", standin.url, standin.anthropic_url, "the-key")
        self.provider = CompatProvider(config, SystemClock(), ZAI)

    async def ask(
        self, model: str, operation: str = "chat", stream: bool = False, **members: Any
    ) -> tuple[int, bytes, UsageTap, Verdict | None]:
        """Status, body, what the tap saw (of a stream), and the verdict (of a body that is none)."""
        outgoing = call(operation, model, stream=stream, **members)
        outgoing.timeouts, outgoing.deadline = BRISK, asyncio.get_running_loop().time() + 10
        response = await self.provider.send(outgoing, self.dialer)
        tap = UsageTap(
            "anthropic" if operation == "messages" else "openai",
            hide_usage=outgoing.hide_usage,
            finish=self.provider.finish_reasons,
        )
        if stream and response.status == 200:
            return response.status, await _relayed(response.body, tap), tap, None
        body = response.body if isinstance(response.body, bytes) else b"".join([chunk async for chunk in response.body])
        return response.status, body, tap, self.provider.classify(response.status, response.headers, body)


async def _relayed(body: bytes | Stream, tap: UsageTap) -> bytes:
    """What a caller would get of the stream, as a host sends it."""
    sent: list[bytes] = []
    outcome = "done"
    try:
        async for chunk in Stream(_once(body)) if isinstance(body, bytes) else body:
            sent.append(tap.feed(chunk))  # noqa: PERF401  # what came before a failure counts
    except UpstreamTimeout:
        outcome = "stall"
    except UpstreamError:
        outcome = "cut"
    return b"".join(sent) + tap.end(outcome)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _tick(dialer: Dialer) -> None:
    """The server's clock, which the Dial's timers run by."""
    loop = asyncio.get_running_loop()
    while True:
        dialer.tick(loop.time())
        await asyncio.sleep(0.02)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with ProviderStandIn(delay=0.4) as standin:
        made = World(standin)
        ticker = asyncio.ensure_future(_tick(made.dialer))
        try:
            yield made
        finally:
            ticker.cancel()
            made.dialer.close()
            await asyncio.sleep(0)


async def test_a_plain_chat() -> None:
    async with world() as w:
        w.standin.serves["syn:x"] = "hf:real/model"
        code, body, _, verdict = await w.ask("syn:x")
        assert (code, verdict) == (200, None)
        assert json.loads(body)["choices"][0]["message"]["content"] == ECHO + "Hello"
        assert (from_answer(body), served_model(body)) == (Usage(12, 7, 4), "hf:real/model")
        [received] = w.standin.requests
        assert (received.method, received.path) == ("POST", "/v1/chat/completions")
        assert received.json == {"model": "syn:x", "messages": HELLO}
        assert received.headers["authorization"] == "Bearer the-key"
        assert received.headers["accept-encoding"] == "identity"
        assert received.headers["host"] == f"127.0.0.1:{w.standin.port}"


async def test_a_stream() -> None:
    async with world() as w:
        code, body, tap, _ = await w.ask("m", stream=True)
        events = Parser().feed(body)
        assert code == 200 and events[-1].data == b"[DONE]"
        assert tap.complete and tap.usage == Usage(12, 7, 4)
        assert all(json.loads(event.data)["choices"] for event in events[:-1])  # the usage chunk was ours, not the caller's
        assert w.standin.requests[0].json["stream_options"] == {"include_usage": True}


async def test_tools_embeddings_models_and_messages() -> None:
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
    async with world() as w:
        _, body, _, _ = await w.ask("m", tools=tools)
        assert json.loads(body)["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
        _, body, tap, _ = await w.ask("glm-4.6", stream=True, tools=tools)
        assert tap.finish_reason == "tool_calls" and w.standin.requests[-1].json["tool_stream"] is True
        _, body, _, verdict = await w.ask("", "models")
        assert verdict is None and [entry["id"] for entry in json.loads(body)["data"]] == ["standin-1", "standin-2"]
        _, body, _, verdict = await w.ask("m", "messages", max_tokens=5)
        assert verdict is None and json.loads(body)["content"][0]["text"] == ECHO + "Hello"
        assert w.standin.requests[-1].path == "/anthropic/v1/messages"
        _, body, tap, _ = await w.ask("m", "messages", stream=True, max_tokens=5)
        assert tap.complete and tap.done and tap.usage == Usage(12, 7)


@pytest.mark.parametrize("code", STATUSES)
async def test_statuses(code: int) -> None:
    async with world() as w:
        got, _, _, verdict = await w.ask(f"status-{code}")
        assert got == code and verdict is not None
        expected = MEANINGS.get(code)
        assert verdict.code == (expected.code if expected is not None else "provider_error")
        assert "upstream text" not in (verdict.detail or "") or verdict.error_type.startswith("caller_")


@pytest.mark.parametrize(
    ("model", "code", "wait"),
    [
        ("status-301", "provider_error", None),
        ("status-429", "provider_rate_limited", 2.0),
        ("status-429-long", "provider_rate_limited", 300.0),
        ("status-429-bare", "provider_rate_limited", None),
        ("context", "context_length_exceeded", None),
        ("policy", "content_policy_violation", None),
        ("unknown-model", "model_not_found", None),
        ("text-error", "provider_auth_failed", None),
        ("billing", "provider_billing", 300.0),
        ("error-in-200", "provider_overloaded", 30.0),
        ("empty-object", "provider_error", None),
        ("html", "provider_error", None),
        ("finish-sensitive", "content_policy_violation", None),
    ],
)
async def test_errors(model: str, code: str, wait: float | None) -> None:
    async with world() as w:
        _, _, _, verdict = await w.ask(model)
        assert verdict is not None and (verdict.code, verdict.retry_after) == (code, wait)


@pytest.mark.parametrize("model", [name for name in BEHAVIOURS if name.endswith("-once") and "reset" not in name])
async def test_what_fails_once_is_well_the_second_time(model: str) -> None:
    async with world() as w:
        assert (await w.ask(model))[3] is not None
        assert (await w.ask(model))[3] is None
        assert w.standin.seen(model) == 2


@pytest.mark.parametrize(
    ("model", "error"),
    [("reset", UpstreamCut), ("silent", UpstreamTimeout), ("slow", UpstreamTimeout), ("not-http", UpstreamMalformed)],
)
async def test_a_transport_that_fails(model: str, error: type[UpstreamError]) -> None:
    async with world() as w:
        with pytest.raises(error):
            await w.ask(model)
        assert (await w.ask("fine"))[3] is None


async def test_an_answer_shorter_than_announced_is_an_error() -> None:
    async with world() as w:
        with pytest.raises(UpstreamCut):
            await w.ask("short-body")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("stream-cut", "upstream_disconnect"),
        ("stream-short", "upstream_disconnect"),
        ("stream-stall", "provider_timeout"),
        ("stream-error", "provider_error"),
        ("stream-error-first", "provider_error"),
    ],
)
async def test_streams_that_fail_end_with_one_error_event_and_no_end_mark(model: str, words: str) -> None:
    async with world() as w:
        _, body, tap, _ = await w.ask(model, stream=True)
        events = [event.data for event in Parser().feed(body)]
        assert json.loads(events[-1])["error"]["code"] == words
        assert sum(b'"error"' in event for event in events) == 1
        assert b"[DONE]" not in body and b"upstream text" not in body
        assert not tap.complete


@pytest.mark.parametrize(
    "model", ["stream-malformed", "stream-no-done", "stream-split", "finish-sensitive", "close-after", "usage-refused"]
)
async def test_streams_that_are_odd_but_whole(model: str) -> None:
    async with world() as w:
        _, body, tap, _ = await w.ask(model, stream=True)
        events = [event.data for event in Parser().feed(body)]
        assert events[-1] == b"[DONE]" and events.count(b"[DONE]") == 1
        text = "".join([json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events[:-1]])
        assert text == ECHO + "Hello"
        assert tap.complete
        finish = [json.loads(event)["choices"][0]["finish_reason"] for event in events[:-1]]
        assert finish[-1] == ("content_filter" if model == "finish-sensitive" else "stop")


async def test_a_refused_field_is_learned() -> None:
    async with world() as w:
        await w.ask("usage-refused", stream=True)
        await w.ask("usage-refused", stream=True)
        assert ["stream_options" in received.json for received in w.standin.requests] == [True, False, False]


async def test_a_closed_stream_closes_the_provider_connection() -> None:
    async with world() as w:
        outgoing = call(model="stream-stall", stream=True)
        outgoing.deadline = asyncio.get_running_loop().time() + 10
        response = await w.provider.send(outgoing, w.dialer)
        assert isinstance(response.body, Stream)
        assert w.standin.open == 1
        await response.body.aclose()
        async with asyncio.timeout(5):
            await w.standin.idle()


async def test_behaviours_can_be_scripted() -> None:
    async def teapot(exchange: Exchange) -> None:
        await exchange.json(418, {"nth": exchange.nth})

    async with world() as w:
        w.standin.script("tea", first(2, teapot))
        w.standin.script("gone", status(410))
        assert [(await w.ask("tea"))[0] for _ in range(3)] == [418, 418, 200]
        assert (await w.ask("gone"))[0] == 410
