"""A wall-clock limit around a function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from wws.errors import Refusal

__all__ = ["GRACE", "bounded"]

T = TypeVar("T")
GRACE: Final = 1.0
"""Seconds a cancelled function gets to clean up before it is said to go on regardless."""


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
