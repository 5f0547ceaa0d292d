"""A second route asked beside the first one, when that has no token."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.functions.ai_world import World, completion, events, read, refused, streamed, words
from wws.core.policy import Attempts
from wws.errors import Refusal, UpstreamTimeout
from wws.http import Response, Stream

AFTER = 0.02


class Race(World):
    """Providers answer when their name's event is set; `left` are those whose call was cancelled."""

    def __init__(self, **options: Any) -> None:
        attempts: dict[str, Any] = {
            "hedge_after": AFTER,
            **{name: options.pop(name) for name in ("max", "assemble", "retry_floor") if name in options},
        }
        super().__init__(Attempts(**attempts), **options)
        self.go = {name: asyncio.Event() for name in ("one", "two", "three")}
        self.left: list[str] = []
        for name in self.go:
            self.script[name] = [lambda name=name: streamed(*events(name))]  # type: ignore[misc]

    async def send(self, endpoint: Any, *args: Any, **options: Any) -> Response:
        name = endpoint.host.split(".")[0]
        response = await super().send(endpoint, *args, **options)
        try:
            await self.go[name].wait()
        except asyncio.CancelledError:
            self.left.append(name)
            raise
        return response

    def in_use(self, name: str) -> int:
        gate = self.route(name).gate
        return 0 if gate is None else gate.in_use


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_second_answers_and_the_first_is_cancelled_at_once() -> None:
    w = Race(concurrency=1)
    w.go["two"].set()
    response = await w.ask(stream=True)
    assert w.calls == ["one", "two"]
    await settled()
    assert w.left == ["one"]
    assert (w.in_use("one"), w.in_use("two")) == (0, 1)
    assert b"two" in await read(response)
    assert (w.outcomes, w.trail.provider, w.in_use("two")) == (["hedged", "ok"], "two", 0)
    assert w.trail.usage is not None  # of the one that answered, told at its end
    assert w.trail.first_token is not None


async def test_the_first_answers_all_the_same() -> None:
    w = Race(concurrency=1)
    asking = asyncio.ensure_future(w.text())
    await asyncio.sleep(AFTER * 3)
    assert w.calls == ["one", "two"]
    w.go["one"].set()
    assert await asking == "one"
    await settled()
    assert w.left == ["two"]
    assert (w.in_use("one"), w.in_use("two")) == (0, 0)
    assert (w.outcomes, w.trail.provider) == (["hedged", "ok"], "one")


async def test_who_answers_in_time_is_the_only_one_asked() -> None:
    w = Race()
    w.go["one"].set()
    assert await w.text() == "one"
    assert (w.calls, w.outcomes) == (["one"], ["ok"])


async def test_an_answer_that_is_being_written_is_waited_for() -> None:
    """A plain caller's answer is whole long after its first token: that is no reason to ask somebody else."""
    w = Race()
    w.go["one"].set()
    written = asyncio.Event()

    async def slowly() -> Any:
        for piece in words("o", "n"):
            yield piece
        await written.wait()
        for piece in events("e")[1:]:
            yield piece

    w.script["one"] = [lambda: Response(Stream(slowly()), 200, {"content-type": "text/event-stream"})]
    asking = asyncio.ensure_future(w.text())
    await asyncio.sleep(AFTER * 4)
    written.set()
    assert await asking == "one"
    assert w.calls == ["one"]


async def test_when_the_first_begins_to_write_beside_the_second_the_second_is_given_up() -> None:
    w = Race()
    begin, written = asyncio.Event(), asyncio.Event()

    async def slowly() -> Any:
        await begin.wait()
        for piece in words("one"):
            yield piece
        await written.wait()
        for piece in events("")[2:]:
            yield piece

    w.go["one"].set()
    w.script["one"] = [lambda: Response(Stream(slowly()), 200, {"content-type": "text/event-stream"})]
    asking = asyncio.ensure_future(w.text())
    await asyncio.sleep(AFTER * 2)
    assert w.calls == ["one", "two"]
    begin.set()
    await asyncio.sleep(0.2)
    assert w.left == ["two"]
    written.set()
    assert await asking == "one"


async def test_one_that_fails_leaves_it_to_the_other() -> None:
    w = Race()
    w.script["two"] = [refused(500)]
    w.go["two"].set()
    asking = asyncio.ensure_future(w.text())
    await asyncio.sleep(AFTER * 3)
    assert not asking.done()
    w.go["one"].set()
    assert await asking == "one"
    assert w.outcomes == ["provider_server_error", "ok"]


async def test_when_both_fail_the_third_is_asked() -> None:
    w = Race()
    for name in ("one", "two"):
        w.script[name] = [refused(401)]
    asking = asyncio.ensure_future(w.text("three"))
    await asyncio.sleep(AFTER * 3)
    for event in w.go.values():
        event.set()
    assert await asking == "three"
    assert (w.calls, w.outcomes) == (["one", "two", "three"], ["provider_auth_failed", "provider_auth_failed", "ok"])


async def test_the_caller_s_mistake_ends_it() -> None:
    w = Race()
    w.script["two"] = [refused(400)]
    w.go["two"].set()
    with pytest.raises(Refusal) as caught:
        await w.text()
    assert caught.value.code == "invalid_request"
    await settled()
    assert w.left == ["one"]


async def test_it_stays_within_the_budget_of_attempts() -> None:
    w = Race(max=1)
    asking = asyncio.ensure_future(w.text())
    await asyncio.sleep(AFTER * 3)
    w.go["one"].set()
    assert await asking == "one"
    assert w.calls == ["one"]


async def test_it_stays_within_the_budget_of_second_tries() -> None:
    w = Race(retry_floor=0)
    asking = asyncio.ensure_future(w.text())
    await asyncio.sleep(AFTER * 3)
    w.go["one"].set()
    assert await asking == "one"
    assert w.calls == ["one"]


async def test_a_route_that_is_left_alone_or_full_is_not_asked_beside() -> None:
    w = Race(concurrency=1)
    w.route("two").failed(w.clock.monotonic(), "provider_billing", None, 0.0)
    gate = w.route("three").gate
    assert gate is not None
    assert gate.enter()
    asking = asyncio.ensure_future(w.text("three"))
    await asyncio.sleep(AFTER * 3)
    w.go["one"].set()
    assert await asking == "one"
    assert w.calls == ["one"]
    assert w.route("three").state == 0


async def test_what_does_not_tell_its_first_token_is_not_hedged() -> None:
    w = Race(assemble=False)
    w.script["one"] = [completion("whole")]
    asking = asyncio.ensure_future(w.text())
    await asyncio.sleep(AFTER * 3)
    w.go["one"].set()
    assert await asking == "whole"
    assert w.calls == ["one"]


async def test_a_caller_who_leaves_ends_both() -> None:
    w = Race(concurrency=1)
    asking = asyncio.ensure_future(w.text())
    await asyncio.sleep(AFTER * 3)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await settled()
    assert sorted(w.left) == ["one", "two"]
    assert (w.in_use("one"), w.in_use("two")) == (0, 0)


async def test_two_answers_at_once_are_one_answer_and_one_that_is_closed() -> None:
    w = Race(concurrency=1)
    closed: list[bool] = []
    w.script["two"] = [lambda: streamed(*events("two"), closed=closed)]
    asking = asyncio.ensure_future(w.ask(stream=True))
    await asyncio.sleep(AFTER * 3)
    w.go["one"].set()
    w.go["two"].set()
    response = await asking
    await settled()
    assert b"one" in await read(response)
    assert (w.in_use("one"), w.in_use("two")) == (0, 0)
    assert w.trail.provider == "one"
    assert w.outcomes == ["hedged", "ok"]


async def test_a_time_out_of_the_first_leaves_the_second_running() -> None:
    w = Race()
    asking = asyncio.ensure_future(w.text())
    await asyncio.sleep(AFTER * 3)
    w.script["one"] = [UpstreamTimeout("first_token")]
    w.go["two"].set()
    assert await asking == "two"
