from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from wws.errors import Refusal
from wws.functions import bounded as module
from wws.functions.bounded import bounded, within

Limited = Callable[[Coroutine[Any, Any, Any], float, Callable[[], None]], Coroutine[Any, Any, Any]]
BOTH = pytest.mark.parametrize("limited", [bounded, within])


def never() -> None:
    raise AssertionError("it has ended in time")


async def told() -> str:
    return "done"


@BOTH
async def test_what_ends_in_time_gives_its_result(limited: Limited) -> None:
    async def waits() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "done"

    assert await limited(told(), 10.0, never) == "done"
    assert await limited(waits(), 10.0, never) == "done"


@BOTH
async def test_what_it_raises_is_raised(limited: Limited) -> None:
    async def fails(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise LookupError("nothing")

    for turns in (0, 2):
        with pytest.raises(LookupError, match="nothing"):
            await limited(fails(turns), 10.0, never)


@BOTH
async def test_what_takes_too_long_is_cancelled(limited: Limited) -> None:
    ended: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(Refusal, match=r"did not end within 0\.01 s") as raised:
        await limited(waits(), 0.01, never)
    assert raised.value.code == "function_timeout"
    await asyncio.sleep(0)
    assert ended == ["cancelled"]


@BOTH
async def test_what_goes_on_regardless_is_told_and_ignored(limited: Limited, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.01)
    said, over = asyncio.Event(), asyncio.Event()

    async def swallows() -> None:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue
        raise ValueError("nobody hears of this")

    with pytest.raises(Refusal):
        await limited(swallows(), 0.01, said.set)
    await asyncio.wait_for(said.wait(), 5)
    over.set()
    await asyncio.sleep(0.01)


@BOTH
async def test_who_gives_up_cancels_it(limited: Limited) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        began.set()
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()

    task = asyncio.ensure_future(limited(waits(), 600.0, never))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 5)


async def test_bounded_runs_in_a_task_of_its_own() -> None:
    async def whose() -> object:
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        return asyncio.current_task()

    assert await bounded(whose(), 10.0, never) is not asyncio.current_task()


@types.coroutine
def asks_the_host(question: object) -> Generator[Any, Any, Any]:
    answer = yield question
    return answer


def test_within_needs_no_task_for_what_waits_for_nothing_and_passes_on_what_the_host_answers() -> None:
    async def work() -> list[Any]:
        first = await asks_the_host("one")
        try:
            await asks_the_host("two")
        except LookupError as error:
            return [first, str(error)]
        return []

    run = within(work(), 10.0, never)
    assert run.send(None) == "one"
    assert run.send("answer") == "two"
    with pytest.raises(StopIteration) as stop:
        run.throw(LookupError("none"))
    assert stop.value.value == ["answer", "none"]
    with pytest.raises(StopIteration) as stop:
        within(told(), 10.0, never).send(None)
    assert stop.value.value == "done"
