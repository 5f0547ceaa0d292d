"""Futures that JavaScript completes and tasks that it asks for, and those of somebody who runs already."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from wws.hosts.cloudflare.turns import MOST, install


class PlainLoop(asyncio.SelectorEventLoop):
    """One whose attributes can be set, as Pyodide's."""

    prompt = False


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = PlainLoop()
    yield made
    made.close()


def ran(loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> Any:
    """What `call` gives in a callback of the loop, which is how JavaScript comes in: without a task."""
    done: asyncio.Future[Any] = asyncio.Future(loop=loop)

    def run() -> None:
        if not loop.prompt:  # type: ignore[attr-defined]
            loop.prompt = True  # type: ignore[attr-defined]
            install(loop, asyncio.Future, asyncio.Task)
        done.set_result(call())

    loop.call_soon(run)
    return loop.run_until_complete(done)


def through(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any]) -> Any:
    """Runs `work` to its end as a task that was there before."""
    return loop.run_until_complete(asyncio.Task(work, loop=loop))


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
    through(loop, asyncio.sleep(0))

    def bring() -> list[str]:
        waited.set_result("brought")
        return list(steps)

    assert ran(loop, bring) == ["brought"]


def test_a_task_begins_in_the_call_that_asks_for_it_and_its_end_is_told_at_once(loop: asyncio.AbstractEventLoop) -> None:
    steps: list[str] = []

    async def work() -> str:
        steps.append("begun")
        return "result"

    def ask() -> list[str]:
        task = asyncio.ensure_future(work(), loop=loop)
        task.add_done_callback(lambda done: steps.append(done.result()))
        return list(steps)

    assert ran(loop, ask) == ["begun", "result"]


def test_the_end_of_a_task_is_told_in_the_call_that_brings_it(loop: asyncio.AbstractEventLoop) -> None:
    steps: list[str] = []
    waited: list[asyncio.Future[str]] = []

    async def inner() -> str:
        waited.append(loop.create_future())
        return await waited[0]

    async def outer() -> str:
        return await asyncio.ensure_future(inner())

    def ask() -> None:
        asyncio.ensure_future(outer(), loop=loop).add_done_callback(lambda done: steps.append(done.result()))

    def bring() -> list[str]:
        waited[0].set_result("brought")
        return list(steps)

    ran(loop, ask)
    assert ran(loop, bring) == ["brought"]


def test_a_task_that_asks_for_another_is_not_interrupted(loop: asyncio.AbstractEventLoop) -> None:
    steps: list[str] = []

    async def second() -> None:
        steps.append("second")

    async def first() -> None:
        task = asyncio.ensure_future(second())
        task.add_done_callback(lambda _: steps.append("told"))
        steps.append("first")

    def ask() -> list[str]:
        asyncio.ensure_future(first(), loop=loop)
        return list(steps)

    assert ran(loop, ask) == ["first", "second", "told"]


def test_callbacks_that_make_callbacks_let_the_platform_come_in_between(loop: asyncio.AbstractEventLoop) -> None:
    steps = 0
    stopped = False

    async def spin() -> None:
        nonlocal steps
        while not stopped:
            steps += 1
            await asyncio.sleep(0)

    def ask() -> int:
        asyncio.ensure_future(spin(), loop=loop)
        return steps

    assert ran(loop, ask) == MOST
    assert ran(loop, lambda: steps) > MOST
    stopped = True
    through(loop, asyncio.sleep(0.01))


def test_what_is_left_when_a_callback_ends_everything_is_done_in_another_turn(loop: asyncio.AbstractEventLoop) -> None:
    steps: list[str] = []

    async def work() -> None:
        loop.call_soon(sys.exit)
        loop.call_soon(steps.append, "left")

    def ask() -> list[str]:
        with pytest.raises(SystemExit):
            asyncio.ensure_future(work(), loop=loop)
        return list(steps)

    assert ran(loop, ask) == []
    through(loop, asyncio.sleep(0))
    assert steps == ["left"]


def test_what_was_cancelled_before_its_turn_does_not_run(loop: asyncio.AbstractEventLoop) -> None:
    steps: list[str] = []

    async def work() -> None:
        loop.call_soon(steps.append, "cancelled").cancel()
        loop.call_soon(steps.append, "kept")

    def ask() -> None:
        asyncio.ensure_future(work(), loop=loop)

    ran(loop, ask)
    assert steps == ["kept"]


def test_a_task_that_completes_a_future_is_not_interrupted(loop: asyncio.AbstractEventLoop) -> None:
    steps: list[str] = []
    waited = ran(loop, lambda: begun(loop, steps))

    async def complete() -> None:
        await asyncio.sleep(0)
        waited.set_result("completed")
        steps.append("still here")
        await asyncio.sleep(0)

    through(loop, complete())
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
    assert through(loop, wait("error")) == "OSError"
    assert through(loop, wait("cancel")) == "CancelledError"


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

    ran(loop, lambda: None)
    through(loop, both())
    ran(loop, lambda: None)
    assert closed == ["closed"]
