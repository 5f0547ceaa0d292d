"""Requests run without a task as long as they can be, and as one from the moment they cannot."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.hosts.server.wire import settle
from wws.hosts.server.tasks import Answer, Run, without_task
from wws.http import Response

RESPONSE = Response(b"ok")


class Ran:
    """A request that was started, and how it ended."""

    def __init__(self, coro: Coroutine[Any, Any, Response]) -> None:
        self.ends: list[tuple[Response | None, BaseException | None]] = []
        self.run = Run(coro, asyncio.get_running_loop(), lambda response, error: self.ends.append((response, error)))
        self.run.resume(None)

    @property
    def error(self) -> BaseException | None:
        ((_, error),) = self.ends
        return error


def answer() -> Answer:
    return Answer(asyncio.get_running_loop())


async def test_what_waits_for_nothing_is_done_at_once() -> None:
    async def app() -> Response:
        assert asyncio.current_task() is test
        return RESPONSE

    test = asyncio.current_task()
    assert Ran(app()).ends == [(RESPONSE, None)]


async def test_what_is_done_is_gone_without_the_collector() -> None:
    """With it would wait its answer, and its request's body: megabytes of each, until the collector comes round."""

    async def at_once() -> Response:
        return RESPONSE

    async def later() -> Response:
        return await first or RESPONSE

    async def as_a_task() -> Response:
        await asyncio.sleep(0)
        return RESPONSE

    async def fails() -> Response:
        raise ValueError("no")

    gc.collect()
    gc.disable()
    try:
        for app in (at_once, later, as_a_task, fails):
            first = answer()
            ends: list[object] = []
            Run(app(), asyncio.get_running_loop(), lambda response, _, ends=ends: ends.append(response)).resume(None)  # type: ignore[misc]
            first.set_result(RESPONSE)
            await settle()
            assert ends == [None if app is fails else RESPONSE]
            assert [one for one in gc.get_objects() if type(one) is Run] == []
    finally:
        gc.enable()


async def test_what_raises_at_once() -> None:
    async def app() -> Response:
        raise ValueError("no")

    assert isinstance(Ran(app()).error, ValueError)


async def test_an_answer_goes_on_in_the_very_call_that_brings_it() -> None:
    first, second = answer(), answer()

    async def app() -> Response:
        got = [await first, await second]
        assert got == [RESPONSE, None]
        return RESPONSE

    ran = Ran(app())
    assert not ran.ends and not first.done()
    first.set_result(RESPONSE)
    assert not ran.ends and first.done()
    second.set_result(None)
    assert ran.ends == [(RESPONSE, None)]


async def test_an_error_comes_in_the_next_turn() -> None:
    waited = answer()

    async def app() -> Response:
        with pytest.raises(ValueError, match="far"):
            await waited
        return RESPONSE

    ran = Ran(app())
    waited.set_exception(ValueError("far away"))
    assert not ran.ends
    await settle()
    assert ran.ends == [(RESPONSE, None)]


async def test_an_error_that_nobody_catches() -> None:
    waited = answer()

    async def app() -> Response:
        response: Response = await waited
        return response

    ran = Ran(app())
    waited.set_exception(ValueError("far away"))
    await settle()
    assert isinstance(ran.error, ValueError)


async def test_anything_else_makes_it_a_task() -> None:
    seen: list[object] = []

    async def app() -> Response:
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        async with asyncio.timeout(1.0):
            await asyncio.sleep(0)
        return RESPONSE

    ran = Ran(app())
    await settle()
    assert ran.ends == [(RESPONSE, None)]
    assert isinstance(seen[0], asyncio.Task) and seen[0] is not asyncio.current_task()


async def test_an_error_in_a_task() -> None:
    async def app() -> Response:
        await asyncio.sleep(0)
        raise ValueError("later")

    ran = Ran(app())
    await settle()
    assert isinstance(ran.error, ValueError)


async def test_a_future_that_fails_is_raised_where_it_is_awaited() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def app() -> Response:
        try:
            await future
        except ValueError:
            await asyncio.sleep(0)
            return RESPONSE
        raise AssertionError

    ran = Ran(app())
    future.set_exception(ValueError("no"))
    await settle()
    assert ran.ends == [(RESPONSE, None)]


@pytest.mark.parametrize("as_task", [False, True])
async def test_cancelling_what_waits(as_task: bool) -> None:
    cleaned: list[str] = []
    waited = answer()

    async def app() -> Response:
        try:
            if as_task:
                await asyncio.sleep(60)
            await waited
        finally:
            cleaned.append("up")
        raise AssertionError

    ran = Ran(app())
    ran.run.cancel()
    await settle()
    assert isinstance(ran.error, asyncio.CancelledError) and cleaned == ["up"]
    waited.set_result(RESPONSE)  # too late: nobody waits
    assert len(ran.ends) == 1


async def test_who_catches_the_cancellation_may_still_answer() -> None:
    waited = answer()

    async def app() -> Response:
        try:
            await waited
        except asyncio.CancelledError:
            return RESPONSE
        raise AssertionError

    ran = Ran(app())
    ran.run.cancel()
    assert ran.ends == [(RESPONSE, None)]


async def test_a_cancellation_between_an_error_and_its_turn() -> None:
    waited = answer()

    async def app() -> Response:
        response: Response = await waited
        return response

    ran = Ran(app())
    waited.set_exception(ValueError("far away"))
    ran.run.cancel()
    await settle()
    assert isinstance(ran.error, asyncio.CancelledError)  # once, and not the error too


async def test_cancelling_what_has_ended() -> None:
    async def app() -> Response:
        return RESPONSE

    ran = Ran(app())
    ran.run.cancel()
    assert ran.ends == [(RESPONSE, None)]


async def test_an_answer_that_is_awaited_after_a_cancellation_was_survived() -> None:
    first, second = answer(), answer()

    async def app() -> Response:
        try:
            await first
        except asyncio.CancelledError:
            response: Response = await second
            return response
        raise AssertionError

    ran = Ran(app())
    ran.run.cancel()
    assert not ran.ends
    second.set_result(RESPONSE)
    assert ran.ends == [(RESPONSE, None)]


async def test_a_step_of_a_run_knows_that_it_has_no_task() -> None:
    loop, other = asyncio.get_running_loop(), asyncio.new_event_loop()
    waited = answer()
    seen: list[bool] = []

    async def app() -> Response:
        seen.append(without_task(loop))
        assert not without_task(other)
        with pytest.raises(ValueError, match="far"):
            await waited
        seen.append(without_task(loop))
        await asyncio.sleep(0)
        seen.append(without_task(loop))
        return RESPONSE

    other.close()
    ran = Ran(app())
    assert not without_task(loop)
    waited.set_exception(ValueError("far away"))
    await settle()
    assert ran.ends == [(RESPONSE, None)]
    assert seen == [True, True, False]
    assert not without_task(loop)


async def test_a_run_inside_another_ones_step_leaves_that_with_a_task_at_worst() -> None:
    loop = asyncio.get_running_loop()

    async def inner() -> Response:
        assert without_task(loop)
        return RESPONSE

    async def outer() -> Response:
        assert Ran(inner()).ends == [(RESPONSE, None)]
        assert not without_task(loop)
        return RESPONSE

    assert Ran(outer()).ends == [(RESPONSE, None)]


async def test_the_source_of_an_answer_hears_of_a_cancelled_request() -> None:
    class Source:
        def __init__(self) -> None:
            self.forsaken: list[Answer] = []

        def forsake(self, answer: Answer) -> None:
            self.forsaken.append(answer)

    async def app(answer: Answer) -> Response:
        response: Response = await answer
        return response

    source = Source()
    for end in ("cancelled", "answered", "failed"):
        waited = Answer(asyncio.get_running_loop(), source)
        ran = Ran(app(waited))
        if end == "cancelled":
            ran.run.cancel()
        elif end == "answered":
            waited.set_result(RESPONSE)
        else:
            waited.set_exception(ValueError("far away"))
        await settle()
        assert len(ran.ends) == 1
        assert source.forsaken == [waited] if end == "cancelled" else waited not in source.forsaken
