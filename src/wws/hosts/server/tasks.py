"""Starting a request without the price of a task where it never has to wait."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def _resume(coro: Coroutine[Any, Any, T], yielded: Any) -> Generator[Any, Any, T]:
    """Carries on a coroutine that was started by hand and now waits for `yielded`."""
    try:
        while True:
            try:
                sent = yield yielded
            except GeneratorExit:
                raise
            except BaseException as error:
                yielded = coro.throw(error)
            else:
                yielded = coro.send(sent)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        coro.close()


async def _carry(coro: Coroutine[Any, Any, T], yielded: Any) -> T:
    return await _resume(coro, yielded)


def start(coro: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T | asyncio.Task[T]:
    """Runs `coro` up to its first wait: its result when it has none, else a task for the rest.

    Refusals and answers from cache wait for nothing, and a proxied request waits once; a task for each would cost two
    turns of the loop. Until the first wait there is no current task, so `asyncio.timeout` must not be the first thing
    entered. What `coro` raises before it is raised here.
    """
    try:
        yielded = coro.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    return loop.create_task(_carry(coro, yielded))
