"""Carrying on a coroutine that was started by hand, inside a task."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def _resume(coro: Coroutine[Any, Any, T], yielded: Any) -> Generator[Any, Any, T]:
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


async def carry(coro: Coroutine[Any, Any, T], yielded: Any, begins: Callable[[], None]) -> T:
    """The result of `coro`, which now waits for `yielded`. `begins` is called first: a task may be cancelled before it runs."""
    begins()
    return await _resume(coro, yielded)
