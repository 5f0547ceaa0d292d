"""Sees when the project's code holds up the event loop, says where, and in the end stops it.

Everyone else in the process waits while one function computes or blocks. Three things look at that, each where the one before is
blind:

    a thread      tells in the log of a loop that has not turned for `after` seconds: the function, its file and the line
    a timer       that the loop winds up again as it turns; after `limit` seconds its signal's handler raises `FunctionStopped`
                  where the function stands. The kernel sends it, so it comes also where C code keeps all threads from running
                  (a regular expression that backtracks without end).
    faulthandler  for code that takes no signals either: writes where every thread stands, and ends the process if another one
                  takes its place.

A signal, not `PyThreadState_SetAsyncExc`: the handler runs in the main thread, sees the very frame that it would interrupt, and
so raises only in the project's code or in what that has called outside of the gateway, never in the gateway's own. It also wakes
code that sleeps or waits in the system (PEP 475: a call that a signal interrupts goes on unless the handler raises).
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

from wws.errors import FunctionStopped

__all__ = ["BLOCKS", "STOPS", "Place", "Watchdog", "place"]

BLOCKS: Final = "wws_function_blocks"
STOPS: Final = "wws_function_stops"
STUCK: Final = 5.0
"""Seconds after the first try to stop it at which code that takes no signals is given up, with its process."""
_REWOUND: Final = 1.0
"""Seconds after which the last resort is set anew: that makes a thread, which is not for every turn."""
_VERSIONS: Final = 4
"""Folders of versions that may still run something."""
_OURS: Final = str(Path(__file__).parents[2]) + "/"
_GATEWAY: Final = "gateway"
"""What metrics call code that is none of the project's."""
_log = logging.getLogger("wws.functions")


class Place(NamedTuple):
    """Where the project's code stands: the function's name in the project, the file, the line, and the name in the code."""

    function: str
    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"function {self.function} ({self.file}:{self.line}, in {self.name})"


def place(frame: FrameType | None, folders: tuple[str, ...]) -> tuple[Place | None, bool]:
    """Where in `folders` the code of a stack stands, None where nowhere; and whether it may be interrupted there.

    Not where the gateway's own code has been called and stands in the midst of something.
    """
    outside = True
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(folders):
            folder = next(one for one in folders if file.startswith(one))
            name = file.removeprefix(folder).removesuffix(".py")
            return Place(name, file, frame.f_lineno or 0, frame.f_code.co_name), outside
        outside = outside and not file.startswith(_OURS)
        frame = frame.f_back
    return None, False


class Watchdog:
    """`replaced`: another process takes the place of this one, so one that is stuck for good may end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        measure: Callable[[str, tuple[str, ...], float], None],
    ) -> None:
        self._loop = loop
        self._measure = measure
        self.replaced = False
        self._folders: tuple[str, ...] = ()
        self._after, self._limit, self._interval = 0.25, 2.0, 0.1
        self._beat = 0.0
        self._told = False
        self._first = 1.75
        self._suspected = 0.0  # the turn of the loop that the last signal found
        self._rewound = 0.0
        self._over = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._watch, name="wws-watchdog", daemon=True)
        self._before: Any = None
        self._timer_before = (0.0, 0.0)

    def use(self, folder: Path, after: float, limit: float) -> None:
        """The project's code lies in `folder`; the loop may stand still for `after` seconds until it is told, `limit` in all."""
        self._folders = tuple(dict.fromkeys([f"{folder}/", *self._folders]))[:_VERSIONS]
        self._after, self._limit = after, limit
        self._interval = max(min(after / 2, 0.1), 0.005)
        self._first = max(limit - after, after)

    def start(self) -> None:
        """Begins to watch the loop, from its thread, which is the main one."""
        self._before = signal.signal(signal.SIGALRM, self._interrupt)
        self._timer_before = signal.setitimer(signal.ITIMER_REAL, self._first, self._after)
        self._tick()
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        if self._over.is_set() or self._timer is None:
            return
        self._over.set()
        self._timer.cancel()
        signal.setitimer(signal.ITIMER_REAL, *self._timer_before)
        signal.signal(signal.SIGALRM, self._before)
        faulthandler.cancel_dump_traceback_later()

    def _tick(self) -> None:
        self._beat = now = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, self._first, self._after)
        if now - self._rewound > _REWOUND:
            self._rewound = now
            faulthandler.dump_traceback_later(self._limit + STUCK + _REWOUND, exit=self.replaced)
        self._timer = self._loop.call_later(self._interval, self._tick)

    def _watch(self) -> None:
        main = threading.main_thread().ident or 0
        while not self._over.wait(self._interval):
            still = time.monotonic() - self._beat
            if still < self._after:
                self._told = False
                continue
            found, _ = place(sys._current_frames().get(main), self._folders)
            if not self._told:
                self._told = True
                self._tell(found, still)

    def _tell(self, found: Place | None, still: float) -> None:
        if found is None:
            self._count(BLOCKS, _GATEWAY)  # a busy machine, or the gateway itself
            return
        self._count(BLOCKS, found.function)
        _log.error(
            "%s holds up the event loop: it has not given way for %d ms, and everyone waits. Await something, use a thread "
            '(asyncio.to_thread), or write `config = {"isolate": True}`',
            found,
            still * 1000,
        )

    def _count(self, name: str, function: str) -> None:
        """Counts in the loop's thread, as everything is counted."""
        self._loop.call_soon_threadsafe(self._measure, name, (function,), 1)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """In the main thread: raises where the project's code stands, if that is what holds up the loop."""
        found, may = place(frame, self._folders)
        still = time.monotonic() - self._beat
        suspected, self._suspected = self._suspected == self._beat, self._beat
        if found is None or not may or not suspected:
            return  # a process that was itself stopped for a while finds one signal, and no function is to blame for that
        _log.error("%s is stopped: it has held up the event loop for %.1f s", found, still)
        self._count(STOPS, found.function)
        raise FunctionStopped(f"{found} held up the event loop for {still:.1f} s")
