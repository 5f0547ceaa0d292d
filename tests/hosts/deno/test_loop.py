"""The loop, on a platform that is called by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.hosts.deno.platform import Platform
from wws.hosts.deno.loop import LONGEST


def test_callbacks_run_in_order_and_wake_the_platform_once(platform: Platform) -> None:
    seen: list[int] = []
    for number in range(10):
        platform.loop.call_soon(seen.append, number)
    platform.loop.call_soon(lambda: platform.loop.call_soon(seen.append, 10))
    assert seen == []
    platform.run()
    assert seen == list(range(11))
    assert platform.crossings == 1


def test_a_task_that_waits_many_times_wakes_the_platform_once(platform: Platform) -> None:
    async def waits() -> str:
        for _ in range(20):
            await asyncio.sleep(0)
        return "done"

    task = platform.loop.create_task(waits())
    platform.run()
    assert task.result() == "done"
    assert platform.crossings == 1


def test_callbacks_that_never_end_let_others_come_in_between(platform: Platform) -> None:
    turns = 0

    def again() -> None:
        nonlocal turns
        turns += 1
        platform.now += LONGEST / 3.5
        platform.loop.call_soon(again)

    platform.loop.call_soon(again)
    platform.microtasks -= 1
    platform.loop.turn()
    assert turns == 4
    assert platform.microtasks == 0
    assert platform.alarm == platform.now, "by a timer, not by a microtask: those starve everything else"
    platform.alarm = None
    platform.loop.rung()
    assert turns == 8


def test_timers_ring_in_order_and_arm_one_timer(platform: Platform) -> None:
    seen: list[str] = []
    platform.loop.call_later(2.0, seen.append, "second")
    platform.loop.call_later(1.0, seen.append, "first")
    platform.loop.call_later(1.0, seen.append, "first, made later")
    platform.loop.call_later(3.0, seen.append, "third")
    assert platform.crossings == 2
    platform.advance(1.5)
    assert seen == ["first", "first, made later"]
    platform.advance(0.5)
    assert seen[2:] == ["second"]
    platform.advance(5.0)
    assert seen[3:] == ["third"]
    assert platform.alarm is None


def test_a_timer_of_a_turn_is_armed_at_its_end(platform: Platform) -> None:
    seen: list[int] = []
    platform.loop.call_soon(lambda: [platform.loop.call_later(delay, seen.append, delay) for delay in (3, 2, 1)])
    platform.run()
    assert platform.crossings == 2
    platform.advance(1)
    assert seen == [1]
    platform.advance(2)
    assert seen == [1, 2, 3]


def test_a_timer_too_far_for_the_platform_rings_in_the_end(platform: Platform) -> None:
    seen: list[int] = []
    days = 40 * 86400.0
    platform.loop.call_later(days, seen.append, 1)
    platform.advance(30 * 86400.0)
    assert seen == []
    platform.advance(10 * 86400.0)
    assert seen == [1]


def test_cancelled_timers_do_not_pile_up(platform: Platform) -> None:
    seen: list[int] = []
    platform.loop.call_later(50.0, seen.append, 1)
    for _ in range(1000):
        platform.loop.call_later(300.0, seen.append, 0).cancel()
    assert len(platform.loop._timers) < 250
    platform.advance(400.0)
    assert seen == [1]
    assert platform.loop._timers == []


def test_timeouts_and_sleep_as_asyncio_has_them(platform: Platform) -> None:
    async def late() -> str:
        try:
            async with asyncio.timeout(1.0):
                await asyncio.sleep(5.0)
        except TimeoutError:
            return "late"
        return "in time"

    task = platform.loop.create_task(late())
    platform.run()
    assert not task.done()
    platform.advance(1.0)
    assert task.result() == "late"


def test_an_error_of_a_callback_is_told_and_ends_nothing(platform: Platform) -> None:
    told: list[str] = []
    seen: list[int] = []
    platform.loop.set_exception_handler(lambda loop, context: told.append(str(context["exception"])))
    platform.loop.call_soon(lambda: 1 / 0)
    platform.loop.call_soon(seen.append, 1)
    platform.run()
    assert told == ["division by zero"]
    assert seen == [1]


def test_what_ends_the_process_leaves_the_rest_to_be_run(platform: Platform) -> None:
    def stop() -> None:
        raise SystemExit(3)

    seen: list[int] = []
    platform.loop.call_soon(stop)
    platform.loop.call_soon(seen.append, 1)
    with pytest.raises(SystemExit):
        platform.run()
    platform.run()
    assert seen == [1]


def test_a_generator_that_nobody_finishes_is_finished(platform: Platform) -> None:
    closed: list[int] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(1)

    async def first() -> int:
        async for number in numbers():
            return number
        return 0

    task = platform.loop.create_task(first())
    platform.run()
    assert task.result() == 1
    assert closed == [1]


def test_work_for_a_thread_is_done_at_once(platform: Platform) -> None:
    async def asked() -> tuple[int, str]:
        try:
            await asyncio.to_thread(lambda: 1 // 0)
        except ZeroDivisionError as error:
            return await asyncio.to_thread(lambda: 7), str(error)
        return 0, ""

    task = platform.loop.create_task(asked())
    platform.run()
    assert task.result()[0] == 7
