"""What is to be written in one turn of the event loop, written together at its end.

A write to a socket whose reader sleeps wakes it, which costs the writer several microseconds, on virtual machines many. Written
one by one as requests are answered, each answer wakes a client that has nothing else to do and falls asleep again. Written
together, the first wakes it and the others find it at work. Alone, an answer leaves in the same turn all the same.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Writer(Protocol):
    """What is used of a transport."""

    def write(self, data: bytes) -> None: ...
    def is_closing(self) -> bool: ...


class Outbox:
    """Writes to the transports of one event loop, in the order they were posted."""

    __slots__ = ("_data", "_loop", "_writers")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._writers: list[Writer] = []
        self._data: list[bytes] = []

    def post(self, writer: Writer, data: bytes) -> None:
        """Writes `data` when the callbacks of this turn are through."""
        if not self._writers:
            self._loop.call_soon(self.flush)
        self._writers.append(writer)
        self._data.append(data)

    def flush(self) -> None:
        """Writes what was posted now: for whoever is about to write, or to close, without posting."""
        writers = self._writers
        if not writers:
            return
        posted = self._data
        self._writers = []
        self._data = []
        for writer, data in zip(writers, posted, strict=True):
            if not writer.is_closing():
                writer.write(data)
