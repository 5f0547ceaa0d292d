"""The sixteen faults, as a provider plays them. Each is a behaviour of the stand-in for one model."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from tests.support.provider import Behaviour, Exchange, first, openai_error, reset, silent, sse, status

__all__ = ["FALLBACK_USAGE", "TEXT", "Outage", "Paced", "context", "fallback", "no_prefill", "scripts", "shortened"]

WORDS = [f"word{number} " for number in range(60)]
TEXT = "".join(WORDS)
"""What a good answer to any request says: sixty tokens."""
USAGE = {"prompt_tokens": 10, "completion_tokens": 60, "total_tokens": 70}
FALLBACK_USAGE = {"prompt_tokens": 11, "completion_tokens": 61, "total_tokens": 72}


def _chunk(exchange: Exchange, delta: dict[str, Any], finish: str | None = None) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": exchange.served}
    return sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _events(exchange: Exchange, usage: dict[str, int], words: list[str] | None = None) -> list[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": exchange.served}
    events = [_chunk(exchange, {"role": "assistant", "content": ""})]
    events += [_chunk(exchange, {"content": word}) for word in (WORDS if words is None else words)]
    counted = sse({**head, "choices": [], "usage": usage})
    return [*events, _chunk(exchange, {}, "stop"), counted, b"data: [DONE]\n\n"]


async def _answer(exchange: Exchange, usage: dict[str, int]) -> None:
    if exchange.received.json.get("stream"):
        await exchange.events(_events(exchange, usage))
        return
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": exchange.served}
    await exchange.json(200, {**head, "choices": [choice], "usage": usage})


async def good(exchange: Exchange) -> None:
    await _answer(exchange, USAGE)


async def fallback(exchange: Exchange) -> None:
    await _answer(exchange, FALLBACK_USAGE)


def no_prefill(body: Any) -> bool:
    """Whether no answer of the assistant stands at the end of what was sent."""
    return bool(body["messages"][-1]["role"] != "assistant")


async def _picky_fallback(exchange: Exchange) -> None:
    if no_prefill(exchange.received.json):
        await fallback(exchange)
    else:
        await exchange.json(400, openai_error("prefill is not supported"))


class Paced:
    """429 with `Retry-After: 2` until the two seconds are over. `calls` are the times of the calls."""

    def __init__(self) -> None:
        self.calls: list[float] = []

    async def __call__(self, exchange: Exchange) -> None:
        self.calls.append(time.monotonic())
        if time.monotonic() < self.calls[0] + 1.8:
            await exchange.json(429, openai_error("slow down"), {"retry-after": "2"})
        else:
            await good(exchange)


class Outage:
    """503 for as long as `down`. `calls` are the times of the calls."""

    def __init__(self) -> None:
        self.down = True
        self.calls: list[float] = []

    async def __call__(self, exchange: Exchange) -> None:
        self.calls.append(time.monotonic())
        if self.down:
            await exchange.json(503, openai_error("down"))
        else:
            await good(exchange)


async def slow_first_token(exchange: Exchange) -> None:
    """The head and the role at once, the first token after 20 seconds."""
    events = _events(exchange, USAGE)
    await exchange.events(events[:1], end=False)
    await asyncio.sleep(20)
    for event in events[1:]:
        await exchange.raw(b"%x\r\n%s\r\n" % (len(event), event))
    await exchange.raw(b"0\r\n\r\n")


async def cut(exchange: Exchange) -> None:
    events = _events(exchange, USAGE)
    await exchange.events(events[:21], pause=0.001, end=False)
    await asyncio.sleep(0.3)  # what has come is sent on by then, however busy the machine is
    for event in events[21:41]:
        await exchange.raw(b"%x\r\n%s\r\n" % (len(event), event))
    exchange.abort()


async def stall(exchange: Exchange) -> None:
    """Half of it, and then nothing but comments, which are no answer."""
    await exchange.events(_events(exchange, USAGE)[:31], end=False)
    for _ in range(300):
        await asyncio.sleep(0.1)
        await exchange.raw(b"8\r\n: ping\n\n\r\n")


async def malformed(exchange: Exchange) -> None:
    events = _events(exchange, USAGE)
    await exchange.events([*events[:20], b'data: {"choices":[{"index":0,"delta":{"content":"hal\n\n', *events[20:]])


async def no_done(exchange: Exchange) -> None:
    """Everything but the end mark, on a connection that stays open."""
    await exchange.events(_events(exchange, USAGE)[:-1], end=False)
    await exchange.hang()


context = status(400, openai_error("This model's maximum context length is 8192 tokens.", "context_length_exceeded"))
policy = status(400, openai_error("Your prompt was flagged.", "content_policy_violation"))


def shortened(text: str) -> bool:
    """Whether this is a part of the answer, but not all of it."""
    return text != TEXT and TEXT.startswith(text) and text != ""


def scripts() -> tuple[dict[str, Behaviour], dict[str, Behaviour]]:
    """By model: what the primary does, and what the fallback does."""
    main: dict[str, Behaviour] = {
        "f02": status(429, openai_error("slow down")),
        "f03": first_good(1, status(500)),
        "f04": status(503),
        "f05": first_good(1, reset),
        "f06": silent,
        "f07": slow_first_token,
        "f08": cut,
        "f09": stall,
        "f10": malformed,
        "f11": no_done,
        "f12": context,
        "f13": policy,
        "f14": cut,
        "f16": status(500),
        "fine": good,
    }
    backup: dict[str, Behaviour] = {f"f{number:02}": fallback for number in range(1, 17)}
    backup["f14"] = _picky_fallback
    return main, backup


def first_good(times: int, behaviour: Behaviour) -> Behaviour:
    """This behaviour for the first requests with the model, the sixty tokens afterwards."""
    failing = first(times, behaviour)

    async def behave(exchange: Exchange) -> None:
        await (failing(exchange) if exchange.nth <= times else good(exchange))

    return behave


def said(events: bytes) -> str:
    """The text of a stream's bytes."""
    parts = [json.loads(line[6:]) for line in events.split(b"\n") if line.startswith(b"data: {")]
    return "".join([choice["delta"].get("content") or "" for part in parts for choice in part.get("choices", [])])
