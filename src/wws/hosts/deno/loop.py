"""asyncio's event loop on the event loop of JavaScript.

Pyodide's own loop asks JavaScript for every single callback, by a function that is made for it, and a request has dozens. This
one keeps its callbacks and timers itself, as other asyncio loops do. JavaScript is asked to wake it once for all that is ready,
and once for the timer that is due first. It is woken in a microtask, so that what a promise has brought goes on before anything
else; callbacks that go on making callbacks let the platform's own work come in between.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextvars import Context
from heapq import heapify, heappop, heappush
from math import inf
from time import monotonic
from typing import Any, Final, TypeVar, TypeVarTuple

__all__ = ["LONGEST", "EdgeLoop"]

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

LONGEST: Final = 0.01
"""Seconds of callbacks that make callbacks, until I/O and timers of the platform have their turn."""
_FARTHEST: Final = 2**31 - 1
"""Milliseconds: a longer `setTimeout` rings at once (HTML, section 8.7). Woken too early, the loop sleeps on."""
_MANY: Final = 100
"""Cancelled timers that are kept in any case."""


class EdgeLoop(asyncio.BaseEventLoop):
    """Nothing runs it: the platform calls `turn`.

    `soon` makes the platform do so in a microtask; `later` makes it call `rung` after so many milliseconds, once, and forget what
    it was told before.
    """

    def __init__(self, soon: Callable[[], object], later: Callable[[float], object]) -> None:
        self._begun = False
        super().__init__()
        self._soon = soon
        self._later = later
        self._callbacks: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._made = 0  # timers: two that are due at once ring in the order they were made
        self._cancelled = 0
        self._due = inf  # when the platform's timer rings
        self._awake = False

    def begin(self) -> None:
        """Makes it the loop of everything from now on: there is no other, and nothing runs outside of it."""
        self._begun = True
        asyncio.set_event_loop(self)
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(finalizer=self._finish)

    def is_running(self) -> bool:
        """As long as the process lives."""
        return self._begun

    def time(self) -> float:
        """Seconds of the monotonic clock."""
        return monotonic()

    def call_soon(self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None) -> asyncio.Handle:
        """See `asyncio.loop.call_soon`."""
        handle = asyncio.Handle(callback, args, self, context)
        self._callbacks.append(handle)
        if not self._awake:
            self._awake = True
            self._soon()
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """`call_soon`: there are no threads."""
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio.loop.call_at`."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._made += 1
        heappush(self._timers, (when, self._made, timer))
        if when < self._due and not self._awake:
            self._wait(self.time())
        return timer

    def call_later(
        self, delay: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio.loop.call_later`."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts) -> asyncio.Future[_T]:
        """Runs it at once: there are no threads."""
        done: asyncio.Future[_T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def turn(self) -> None:
        """Runs what is ready, and what that makes ready."""
        asyncio._set_running_loop(self)
        self._awake = True
        now = self.time()
        until = now + LONGEST
        try:
            self._ring(now)
            while self._callbacks and now < until:
                self._run()
                now = self.time()
                self._ring(now)
        finally:
            self._awake = False
            self._wait(now)

    def enter(self, callback: Callable[[*_Ts], object], *args: *_Ts) -> None:
        """Calls `callback` on behalf of the platform, and runs what that makes ready."""
        asyncio._set_running_loop(self)
        self._awake = True
        try:
            callback(*args)
        finally:
            if self._callbacks:
                self.turn()
            else:
                self._awake = False
                if self._timers and self._timers[0][0] < self._due:
                    self._wait(self.time())

    def rung(self) -> None:
        """The platform's timer has rung."""
        self._due = inf
        self.turn()

    def _run(self) -> None:
        """Runs the callbacks that are there now."""
        callbacks = self._callbacks
        for _ in range(len(callbacks)):
            handle = callbacks.popleft()
            if not handle._cancelled:
                handle._run()

    def _ring(self, now: float) -> None:
        timers = self._timers
        while timers and (timers[0][0] <= now or timers[0][2]._cancelled):
            timer = heappop(timers)[2]
            if timer._cancelled:
                self._cancelled -= 1
            else:
                self._callbacks.append(timer)

    def _wait(self, now: float) -> None:
        """Asks to be woken for what is left."""
        if self._callbacks:
            self._awake, self._due = True, now
            self._later(0.0)
        elif self._timers and self._timers[0][0] < self._due:
            self._due = self._timers[0][0]
            self._later(min(max(0.0, (self._due - now) * 1000), _FARTHEST))

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is forgotten when it is the first, or when most are cancelled."""
        self._cancelled += 1
        if self._cancelled > _MANY and self._cancelled * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if not entry[2].cancelled() and entry[2] is not handle]
            heapify(self._timers)
            self._cancelled = 0

    def _finish(self, generator: AsyncGenerator[Any, Any]) -> None:
        self.create_task(generator.aclose())
