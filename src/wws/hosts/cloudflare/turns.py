"""What a call from JavaScript makes ready is run before that call returns.

Pyodide's own loop asks JavaScript for another turn of its event loop for every callback: when a task begins, when it ends and
once more for a count of what is under way, which nobody reads here; and whenever a promise brings what somebody waits for. Each
asks for a timer and a function made for it. A request has two tasks, its count has one, and a chat that is put together from a
stream waits a dozen times. As on Deno, `run_sync` is refused: a call that has begun so cannot stand still.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any, Final

__all__ = ["MOST", "Turns", "install"]

MOST: Final = 200
"""Callbacks of one call: those that go on making callbacks let the platform come in between. Its clock stands still meanwhile."""


class Turns:
    """The callbacks of `loop`, which runs.

    They belong to the request that JavaScript came in for, and are gone when its call returns: nothing of one request may be
    done in a call for another (developers.cloudflare.com/workers/observability/errors, "I/O on behalf of a different request").
    """

    __slots__ = ("_ask", "_hooks", "_loop", "_ready")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ask = loop.call_soon
        self._hooks = sys.get_asyncgen_hooks()
        self._ready: deque[asyncio.Handle] | None = None  # of the call that runs

    @property
    def outside(self) -> bool:
        """Whether JavaScript has come in just now: nothing of the loop runs, and whoever waits may run at once."""
        return self._ready is None and asyncio.current_task(self._loop) is None

    def soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """See `asyncio.loop.call_soon`."""
        ready = self._ready
        if ready is None:
            return self._ask(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self._loop, context)
        ready.append(handle)
        return handle

    def run(self, first: Callable[[], Any], ready: deque[asyncio.Handle] | None = None) -> Any:
        """What `first` gives, once all that it makes ready has run, after what is `ready` already."""
        ready = self._ready = deque() if ready is None else ready
        asyncio._set_running_loop(self._loop)  # calls from JavaScript have thread states of their own
        sys.set_asyncgen_hooks(*self._hooks)
        try:
            given = first()
            left = MOST
            while ready and left:
                left -= 1
                handle = ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            self._ready = None
            if ready:
                self._ask(self.run, _nothing, ready)
        return given


def _nothing() -> None:
    return


def install(loop: asyncio.AbstractEventLoop, future: type[asyncio.Future[Any]], task: type[asyncio.Task[Any]]) -> None:
    """Makes the futures and tasks of `loop`, which runs, such ones; `future` and `task` are what they are otherwise."""
    turns = Turns(loop)

    class Prompt(future):  # type: ignore[misc, valid-type]
        """A future that JavaScript completes goes on with whoever waits."""

        def set_result(self, result: Any, /) -> None:
            if turns.outside:
                turns.run(partial(super().set_result, result))
            else:
                super().set_result(result)

    class Eager(task):  # type: ignore[misc, valid-type]
        """A task that JavaScript asks for begins at once, and if it has ended then, JavaScript is told at once."""

        def add_done_callback(self, callback: Callable[[Any], object], /, *, context: Context | None = None) -> None:
            if self.done() and turns.outside:
                callback(self)
            else:
                super().add_done_callback(callback, context=context)

    def create_task(coroutine: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
        made = partial(Eager, coroutine, loop=loop, **options)
        return turns.run(made) if turns.outside else made()

    loop.call_soon = turns.soon  # type: ignore[method-assign, assignment]
    loop.create_future = partial(Prompt, loop=loop)  # type: ignore[method-assign]
    loop.create_task = create_task  # type: ignore[method-assign, assignment]
