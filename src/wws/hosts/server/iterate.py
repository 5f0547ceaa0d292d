"""Reading a stream that somebody's code yields, for a pump.

Not compiled: in mypyc's coroutines an `await` inside `except` or `finally` leaves the exception behind for others to find.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from wws.http import Stream

__all__ = ["iterate"]


class Sink(Protocol):
    """Where the bytes go."""

    def feed(self, data: bytes) -> None:
        """More of the body."""
        ...

    def end(self, error: Exception | None) -> None:
        """The source has ended; with `error` before it was whole."""
        ...


async def iterate(stream: Stream, sink: Sink, flowing: asyncio.Event, failed: Callable[[Exception], None]) -> None:
    """Feeds `sink` to the end of `stream`, as fast as `flowing` lets it; `failed` hears of the error first."""
    error: Exception | None = None
    try:
        async for chunk in stream:
            sink.feed(chunk)
            if not flowing.is_set():
                await flowing.wait()
    except Exception as raised:
        error = raised
        failed(raised)
    finally:
        await stream.aclose()
    sink.end(error)
