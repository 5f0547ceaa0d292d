from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.services import make_env
from wws.bindings import Context
from wws.core.queue.delivery import Terms
from wws.core.queue.message import Message, packed
from wws.core.trail import Trail
from wws.errors import FunctionStopped, Refusal
from wws.functions.jobs import Handler, Ran, ScheduledEvent, deliver, run_scheduled
from wws.functions.scope import Scope
from wws.http import Request

EVENT = ScheduledEvent("* * * * *", datetime(2026, 1, 1, tzinfo=UTC))


class World:
    def __init__(self) -> None:
        self.counted: list[tuple[str, ...]] = []
        env = make_env()
        env.wws.measure = lambda name, labels, value: self.counted.append((name, *labels))
        self.ctx = Context("job-1", 1e9, Trail(0.0), lambda _: None)
        self.scope = Scope(env, Request("POST", "/"), self.ctx)

    async def run(self, handler: Handler, timeout: float = 10.0) -> Ran:
        return await run_scheduled("tidy", handler, EVENT, self.scope, self.ctx, timeout)


def raising(error: BaseException) -> Handler:
    async def fails(event: Any, env: Any, ctx: Any) -> None:
        raise error

    return fails


async def test_a_run_that_goes_well() -> None:
    world, seen = World(), []

    async def handler(event: Any, env: Any, ctx: Any) -> None:
        seen.append((event, env, ctx))

    assert await world.run(handler) == Ran("ok")
    assert seen == [(EVENT, world.scope, world.ctx)]
    assert world.counted == [("wws_cron_runs", "tidy", "ok")]


@pytest.mark.parametrize(
    ("error", "ran"),
    [
        (LookupError("gone"), Ran("error", "LookupError: gone")),
        (Refusal("overloaded", "Too much."), Ran("error", "Refusal: overloaded: Too much.")),
        (asyncio.CancelledError(), Ran("error", "CancelledError")),
        (FunctionStopped("it held up everyone"), Ran("timeout", "it held up everyone")),
    ],
)
async def test_what_a_run_raises_goes_no_further(error: BaseException, ran: Ran, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    assert await world.run(raising(error)) == ran
    assert world.counted == [("wws_cron_runs", "tidy", ran.outcome)]


async def test_a_run_has_an_end() -> None:
    world = World()

    async def waits(event: Any, env: Any, ctx: Any) -> None:
        await asyncio.sleep(600)

    assert await world.run(waits, 0.01) == Ran("timeout", "The function did not end within 0.01 s.")


async def test_a_batch_is_settled_by_what_was_said_of_it() -> None:
    world = World()
    messages = [Message(name, packed(name), 0.0, 0.0, 1, "r") for name in ("a", "b", "c")]

    def handler(fails: bool) -> Callable[[Any, Any, Any], Any]:
        async def queue(batch: Any, env: Any, ctx: Any) -> None:
            batch.messages[0].ack()
            batch.messages[1].retry(delay=7)
            if fails:
                raise OSError("no network")

        return queue

    async def settled(fails: bool) -> list[tuple[str, float, str]]:
        found = await deliver(
            "mail", handler(fails), "JOBS", messages, world.scope, world.ctx, Terms(retry_delay=2.0, max_retries=1), 10.0
        )
        return [(one.action, one.delay, one.reason) for one in found]

    assert await settled(False) == [("ack", 0.0, ""), ("retry", 7.0, "the function asked for another delivery"), ("ack", 0.0, "")]
    assert await settled(True) == [("ack", 0.0, ""), ("retry", 7.0, "OSError: no network"), ("retry", 2.0, "OSError: no network")]
    assert world.counted[:3] == [("wws_queue_deliveries", "JOBS", said) for said in ("ack", "retry", "ack")]
