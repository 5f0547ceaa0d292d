"""What waits for a promise goes on in the very call that brings its result.

Pyodide's own futures ask JavaScript for another turn of its event loop first, for whoever waits and once more for a count of what
is under way, which nobody reads here. A chat that is put together from a stream waits a dozen times. As on Deno, `run_sync` is
not to be had after such a wait.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any

__all__ = ["install"]


def install(loop: asyncio.AbstractEventLoop, future: type[asyncio.Future[Any]]) -> None:
    """Makes the futures of `loop`, which runs, such ones; `future` is the kind that they are otherwise."""
    hooks = sys.get_asyncgen_hooks()

    class Prompt(future):  # type: ignore[misc, valid-type]
        """One that JavaScript completes has no task around it: then, and only then, whoever waits may run at once."""

        def set_result(self, result: Any, /) -> None:
            if asyncio.current_task(loop) is not None:
                super().set_result(result)
                return
            handles: list[asyncio.Handle] = []

            def gather(callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
                handles.append(handle := asyncio.Handle(callback, args, loop, context))
                return handle

            loop.call_soon = gather  # type: ignore[method-assign, assignment]
            try:
                super().set_result(result)
            finally:
                del loop.call_soon
            asyncio._set_running_loop(loop)  # calls from JavaScript have thread states of their own
            sys.set_asyncgen_hooks(*hooks)
            for handle in handles:
                handle._run()

    loop.create_future = partial(Prompt, loop=loop)  # type: ignore[method-assign]
