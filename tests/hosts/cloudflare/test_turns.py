"""Futures that JavaScript completes, and those that somebody completes who runs already."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import pytest

from wws.hosts.cloudflare.turns import install


class PlainLoop(asyncio.SelectorEventLoop):
    """One whose attributes can be set, as Pyodide's."""


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = PlainLoop()
    yield made
    made.close()


def ran(loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> Any:
    """What `call` gives in a callback of the loop, which is how JavaScript comes in: without a task."""
    done: asyncio.Future[Any] = asyncio.Future(loop=loop)

    def run() -> None:
        install(loop, asyncio.Future)
        done.set_result(call())

    loop.call_soon(run)
    return loop.run_until_complete(done)


def begun(loop: asyncio.AbstractEventLoop, steps: list[str]) -> asyncio.Future[str]:
    """A future that a task waits for already."""
    waited: asyncio.Future[str] = loop.create_future()

    async def wait() -> None:
        steps.append(await waited)
        assert asyncio.current_task() is task

    task = asyncio.Task(wait(), loop=loop)
    return waited


def test_who_waits_goes_on_in_the_call_that_brings_the_result(loop: asyncio.AbstractEventLoop) -> None:
    steps: list[str] = []
    waited = ran(loop, lambda: begun(loop, steps))
    loop.run_until_complete(asyncio.sleep(0))

    def bring() -> list[str]:
        waited.set_result("brought")
        return list(steps)

    assert ran(loop, bring) == ["brought"]
    assert loop.call_soon.__func__ is asyncio.SelectorEventLoop.call_soon  # type: ignore[attr-defined]


def test_a_task_that_completes_a_future_is_not_interrupted(loop: asyncio.AbstractEventLoop) -> None:
    steps: list[str] = []
    waited = ran(loop, lambda: begun(loop, steps))

    async def complete() -> None:
        await asyncio.sleep(0)
        waited.set_result("completed")
        steps.append("still here")
        await asyncio.sleep(0)

    loop.run_until_complete(complete())
    assert steps == ["still here", "completed"]


def test_an_error_and_a_cancellation_reach_who_waits(loop: asyncio.AbstractEventLoop) -> None:
    async def wait(way: str) -> str:
        waited = loop.create_future()
        if way == "error":
            loop.call_soon(waited.set_exception, OSError("gone"))
        else:
            loop.call_soon(waited.cancel)
        try:
            return str(await waited)
        except (OSError, asyncio.CancelledError) as error:
            return type(error).__name__

    ran(loop, lambda: None)
    assert loop.run_until_complete(wait("error")) == "OSError"
    assert loop.run_until_complete(wait("cancel")) == "CancelledError"


def test_what_a_generator_left_open_is_finished_by_the_loop(loop: asyncio.AbstractEventLoop) -> None:
    closed: list[str] = []

    async def pieces() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            closed.append("closed")

    async def wait(waited: asyncio.Future[None]) -> None:
        await waited
        generator = pieces()
        await anext(generator)
        del generator

    async def both() -> None:
        waited = loop.create_future()
        task = asyncio.ensure_future(wait(waited))
        await asyncio.sleep(0)
        loop.call_soon(waited.set_result, None)
        await task
        for _ in range(3):
            await asyncio.sleep(0)

    ran(loop, lambda: None)
    loop.run_until_complete(both())
    assert closed == ["closed"]
