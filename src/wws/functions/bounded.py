"""A wall-clock limit around a function."""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, TypeVar

from wws.bindings import Context
from wws.errors import Refusal
from wws.functions.scope import Scope

__all__ = ["GRACE", "OVERRUNS", "bounded", "goes_on_regardless", "within"]

T = TypeVar("T")
GRACE: Final = 1.0
"""Seconds a cancelled function gets to clean up before it is said to go on regardless."""
OVERRUNS: Final = "wws_function_overruns"
_log = logging.getLogger("wws.functions")


async def bounded(work: Coroutine[Any, Any, T], seconds: float, goes_on: Callable[[], None]) -> T:
    """The result of `work`, run as a task of its own for at most `seconds`.

    Raises `Refusal` with `function_timeout` when the time is over: `work` is cancelled, and nobody waits for it any longer.
    `goes_on` is called when it has not ended `GRACE` seconds later: what it does and returns then is ignored.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=max(0.0, seconds))
    except asyncio.CancelledError:
        _abandon(task, goes_on)
        raise
    if task.done():
        return task.result()
    _abandon(task, goes_on)
    raise Refusal("function_timeout", f"The function did not end within {seconds:g} s.")


@types.coroutine
def within(work: Coroutine[Any, Any, T], seconds: float, goes_on: Callable[[], None]) -> Generator[Any, Any, T]:
    """`bounded` for work that never looks for its task: it gets one only when it begins to wait.

    What the host itself lets it wait for without a task is passed on, and has its own end.
    """
    try:
        yielded = work.send(None)
        while yielded is not None and not hasattr(yielded, "_asyncio_future_blocking"):  # what a task takes
            try:
                sent = yield yielded
            except BaseException as error:
                yielded = work.throw(error)
            else:
                yielded = work.send(sent)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    return (yield from bounded(_carried(work, yielded), seconds, goes_on).__await__())


@types.coroutine
def _rest(work: Coroutine[Any, Any, T], yielded: Any) -> Generator[Any, Any, T]:
    try:
        while True:
            try:
                sent = yield yielded
            except GeneratorExit:
                raise
            except BaseException as error:
                yielded = work.throw(error)
            else:
                yielded = work.send(sent)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        work.close()


async def _carried(work: Coroutine[Any, Any, T], yielded: Any) -> T:
    return await _rest(work, yielded)


def goes_on_regardless(function: str, env: Scope, ctx: Context) -> None:
    """Tells of a function that did not end when it was cancelled."""
    _log.error("function %s (%s) goes on although its time is over and it was cancelled; it is ignored", function, ctx.request_id)
    env.wws.measure(OVERRUNS, (function,), 1)


def _abandon(task: asyncio.Future[Any], goes_on: Callable[[], None]) -> None:
    if task.done():
        _seen(task)
        return
    task.cancel()
    late = asyncio.get_running_loop().call_later(GRACE, goes_on)

    def ended(task: asyncio.Future[Any]) -> None:
        late.cancel()
        _seen(task)

    task.add_done_callback(ended)


def _seen(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()  # nobody waits for it: it would be told again when the task is forgotten
