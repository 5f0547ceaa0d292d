"""Streams whose first token is long in coming."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.functions.ai_world import World, completion, events, read, refused, streamed, words
from wws.bindings import Context
from wws.core.policy import Attempts, Timeouts
from wws.core.trail import Trail
from wws.core.wire.relay_stream import HEARTBEAT, PING
from wws.errors import Refusal, UpstreamCut, UpstreamTimeout
from wws.functions.early import Late
from wws.http import Response, Stream

GOOD = events("Hel", "lo")
AFTER = 0.03


class Slow(World):
    """A world whose providers answer when `go` is set, and may think for two minutes."""

    def __init__(self, commit_after: float | None = AFTER, **config: Any) -> None:
        super().__init__(Attempts(commit_after=commit_after), timeouts=Timeouts(first_token=120.0), **config)
        self.go = asyncio.Event()
        self.script = {name: [lambda: streamed(*GOOD)] for name in ("one", "two", "three")}

    async def send(self, *args: Any, **options: Any) -> Response:
        await self.go.wait()
        return await super().send(*args, **options)


def body(response: Response) -> Stream:
    assert isinstance(response.body, Stream)
    return response.body


async def told(response: Response) -> bytes:
    """As a host sends it, whose source may fail."""
    stream = body(response)
    transform = stream.transform
    assert transform is not None
    out, outcome = stream.held, "done"
    try:
        async for piece in stream:
            out += transform.feed(piece)
    except UpstreamCut:
        outcome = "cut"
    out += transform.end(outcome)
    assert response.finish is not None
    response.finish(outcome, len(out))
    return out


async def test_the_head_and_a_comment_come_before_the_answer() -> None:
    w = Slow()
    response = await w.ask(stream=True)
    assert isinstance(body(response).transform, Late)
    assert body(response).held == PING
    assert response.headers["content-type"].startswith("text/event-stream")
    w.go.set()
    assert await told(response) == PING + b"".join(GOOD[:-2]) + GOOD[-1]  # the caller did not ask for usage
    assert (w.trail.provider, w.trail.model, w.outcomes) == ("one", "served", ["ok"])
    assert w.trail.usage is not None
    assert w.trail.error_type is None


async def test_an_answer_that_comes_in_time_is_what_it_always_was() -> None:
    w = Slow(commit_after=30.0)
    w.go.set()
    response = await w.ask(stream=True)
    assert body(response).held == b"".join(words("Hel"))
    assert (await read(response)).endswith(GOOD[-1])


async def test_another_model_steps_in_behind_the_comments() -> None:
    w = Slow()
    w.script["one"] = [UpstreamTimeout("first_token")]
    response = await w.ask(stream=True)
    w.go.set()
    assert (await told(response)).endswith(GOOD[-1])
    assert w.outcomes == ["provider_timeout", "ok"]
    assert w.trail.provider == "two"


@pytest.mark.parametrize(
    ("answer", "code", "error_type"),
    [
        (refused(401), "provider_auth_failed", "provider_auth_failed"),
        (refused(400, "context_length_exceeded"), "context_length_exceeded", "caller_context_length"),
        (completion("not a stream"), "provider_error", "provider_server_error"),
        (RuntimeError("a mistake of ours"), "internal_error", "wws_internal"),
    ],
)
async def test_a_failure_is_told_inside_the_stream_and_it_does_not_end_well(answer: Any, code: str, error_type: str) -> None:
    w = Slow()
    w.script["one"] = [answer]
    response = await w.ask("only", stream=True)
    w.go.set()
    text = await told(response)
    last = json.loads(text.split(b"data: ")[-1])
    assert last["error"]["code"] == code
    assert b"[DONE]" not in text
    assert w.trail.error_type == error_type


async def test_anthropic_s_callers_get_anthropic_s_error() -> None:
    context = Context("request-1", 1e9, Trail(0.0), lambda awaitable: None)
    late = Late(asyncio.get_running_loop().create_future(), "anthropic", World().env, context)
    late._failed(Refusal("provider_timeout"))
    assert late.end("cut").startswith(b"event: error\n")
    assert late.end("client_closed") == b""


async def test_a_caller_who_leaves_before_the_answer_ends_the_attempts() -> None:
    w = Slow(concurrency=1)
    response = await w.ask("only", stream=True)
    gate = w.route().gate
    assert gate is not None
    assert gate.in_use == 1
    assert response.finish is not None
    response.finish("client_closed", 8)
    await body(response).aclose()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert gate.in_use == 0
    assert w.trail.error_type == "caller_cancelled"
    assert w.calls == []


async def test_a_caller_who_leaves_before_the_head_ends_the_attempts() -> None:
    w = Slow(commit_after=30.0, concurrency=1)
    asking = asyncio.ensure_future(w.ask("only", stream=True))
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)
    gate = w.route().gate
    assert gate is not None
    assert gate.in_use == 0


async def test_a_caller_who_leaves_when_the_answer_has_just_come_closes_it() -> None:
    w = Slow(concurrency=1)
    closed: list[bool] = []
    w.script["one"] = [lambda: streamed(*GOOD, closed=closed)]
    response = await w.ask("only", stream=True)
    w.go.set()
    await asyncio.sleep(0.01)
    assert response.finish is not None
    response.finish("client_closed", 8)
    await body(response).aclose()
    assert closed == [True]
    gate = w.route().gate
    assert gate is not None
    assert gate.in_use == 0


async def test_heartbeats_until_the_answer_and_its_own_timers_from_then_on() -> None:
    w = Slow()
    response = await w.ask(stream=True)
    late: Any = body(response).transform
    assert [late.tick(now) for now in (0.0, 1.0, HEARTBEAT, HEARTBEAT + 1, 2 * HEARTBEAT)] == [b"", b"", PING, b"", PING]
    late.held_up()
    assert late.ending == ""
    w.go.set()
    stream = body(response).__aiter__()
    await anext(stream)
    late.feed(await anext(stream))
    relay_idle = 30.0
    late.tick(100.0)
    assert late.tick(100.0 + relay_idle) == b""
    assert late.ending == "stall"
    await body(response).aclose()


async def test_where_no_timer_lets_it_take_so_long_nothing_is_prepared() -> None:
    """Three attempts of ten seconds are done in thirty: the default costs a stream nothing."""
    w = World(Attempts())
    running = len(asyncio.all_tasks())
    seen: list[int] = []

    def answer() -> Response:
        seen.append(len(asyncio.all_tasks()))
        return streamed(*GOOD)

    w.script["one"] = [answer]
    await w.ask(stream=True)
    assert seen == [running]


async def test_an_answer_that_is_held_back_whole_keeps_its_connection_open() -> None:
    w = Slow()
    response = await w.ask(stream=True, mode="buffer")
    assert body(response).held == PING
    w.go.set()
    assert (await told(response)).endswith(GOOD[-1])


async def test_in_a_line_that_forms_the_head_is_sent_too() -> None:
    """Waiting for a place has no timer of its own but the deadline."""
    w = World(Attempts(commit_after=0.5), concurrency=1, timeouts=Timeouts(first_token=0.15))
    w.script = {"one": [lambda: streamed(*GOOD)]}
    first = await w.ask("only", stream=True)
    second = await w.ask("only", stream=True)
    assert body(second).held == PING
    await read(first)
    assert (await told(second)).endswith(GOOD[-1])
