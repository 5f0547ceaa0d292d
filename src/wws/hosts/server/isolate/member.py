"""One process of isolated functions, as the gateway sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

from wws.hosts.server.isolate import frames

__all__ = ["Ended", "Member"]

_MODULE: Final = "wws.hosts.server.isolate.child"
_REASONS: Final = {-signal.SIGXCPU: "cpu", -signal.SIGKILL: "killed", -signal.SIGSEGV: "crashed", 71: "memory"}
"""Why a process ended, by its status; SIGKILL that was not ours is the system's, mostly for want of memory."""

Called = Callable[[dict[str, Any]], Awaitable[frames.Frame]]


class Ended(Exception):
    """The process ended before it had answered."""


class Member:
    """A process. `start`, then any number of `run`, and `kill` at the end; it is not used again after `Ended`."""

    def __init__(self) -> None:
        self.ended = False
        self.reason = "closed"
        self._process: subprocess.Popen[bytes]
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def start(self, code: bytes) -> None:
        """Starts it and hands it the project's code, a frame. Raises `Ended`.

        A new interpreter, never a fork: a copy of a process with threads and an event loop would be of no use. What is the
        gateway's own in the environment, its pepper say, is not handed on.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - one of ours, and started in some milliseconds
                [sys.executable, "-m", _MODULE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={name: value for name, value in os.environ.items() if not name.startswith("WWS_")},
            )  # fmt: skip
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        await self.next()  # it is up
        self._writer.write(code)

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Tells it something."""
        self._writer.write(frames.packed(header, body))

    async def next(self) -> frames.Frame:
        """What it says next. Raises `Ended`."""
        try:
            frame = await frames.read(self._reader)
        except ValueError:
            self.kill("garbled")
            raise Ended("said what cannot be understood") from None
        if frame is None:
            await self.end()
            raise Ended(self.reason)
        return frame

    def kill(self, reason: str) -> None:
        """Ends it at once; `reason` is what is counted."""
        if not self.ended:
            self.ended, self.reason = True, reason
            self._process.kill()
            self._writer.close()
            asyncio.get_running_loop().run_in_executor(None, self._process.wait)

    async def end(self) -> None:
        """It has hung up: waits for its end, and learns why."""
        if not self.ended:
            self.ended = True
            self._writer.close()
            status = await asyncio.get_running_loop().run_in_executor(None, self._process.wait)
            self.reason = _REASONS.get(status, f"status {status}")
