"""A thread that sees when the project's code holds up the event loop, says where, and in the end stops it.

Everyone else in the process waits while one function computes or blocks. A loop that has not turned for `after` seconds is told
in the log, once, with the function, its file and the line where it stands. After `limit` seconds the function is stopped: its
thread, the main one, gets a signal whose handler raises `FunctionStopped` there.

A signal, not `PyThreadState_SetAsyncExc`: the handler runs in the main thread, sees the very frame that it would interrupt, and
so raises only in the project's code or in what that has called outside of the gateway, never in the gateway's own. It also wakes
code that sleeps or waits in the system (PEP 475: a call that a signal interrupts goes on unless the handler raises).
"""

from __future__ import annotations

import asyncio
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
SIGNAL: Final = signal.SIGVTALRM
"""Nobody else uses it: the timers that send it (setitimer) are not for servers."""
STUCK: Final = 5.0
"""Seconds after the first try to stop it at which code that takes no signals is given up, with its process."""
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
    """`stuck`, where it is set, is called, in the thread, for code that cannot be stopped: it ends the process, and another
    takes its place."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        measure: Callable[[str, tuple[str, ...], float], None],
    ) -> None:
        self._loop = loop
        self._measure = measure
        self.stuck: Callable[[Place], object] | None = None
        self._folders: tuple[str, ...] = ()
        self._after, self._limit, self._interval = 0.25, 2.0, 0.1
        self._beat = 0.0
        self._told = False
        self._tries = 0
        self._over = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._watch, name="wws-watchdog", daemon=True)
        self._before: Any = None

    def use(self, folder: Path, after: float, limit: float) -> None:
        """The project's code lies in `folder`; the loop may stand still for `after` seconds until it is told, `limit` in all."""
        self._folders = tuple(dict.fromkeys([f"{folder}/", *self._folders]))[:_VERSIONS]
        self._after, self._limit = after, limit
        self._interval = max(min(after / 2, 0.1), 0.005)

    def start(self) -> None:
        """Begins to watch the loop, from its thread, which is the main one."""
        self._before = signal.signal(SIGNAL, self._interrupt)
        self._tick()
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        if self._over.is_set() or self._timer is None:
            return
        self._over.set()
        self._timer.cancel()
        signal.signal(SIGNAL, self._before)

    def _tick(self) -> None:
        self._beat = time.monotonic()
        self._timer = self._loop.call_later(self._interval, self._tick)

    def _watch(self) -> None:
        main = threading.main_thread().ident or 0
        while not self._over.wait(self._interval):
            still = time.monotonic() - self._beat
            if still < self._after:
                self._told, self._tries = False, 0
                continue
            found, _ = place(sys._current_frames().get(main), self._folders)
            if not self._told:
                self._told = True
                self._tell(found, still)
            if found is None or still < self._limit + self._tries * self._after:
                continue
            self._tries += 1
            if still > self._limit + STUCK and self.stuck is not None:
                _log.critical("%s takes no signal and has held up this process for %.1f s: it ends", found, still)
                self.stuck(found)
            signal.pthread_kill(main, SIGNAL)

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
        if found is None or not may or still < self._limit:
            return
        _log.error("%s is stopped: it has held up the event loop for %.1f s", found, still)
        self._count(STOPS, found.function)
        raise FunctionStopped(f"{found} held up the event loop for {still:.1f} s")
