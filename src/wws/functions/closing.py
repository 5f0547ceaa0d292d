"""Closing a stream when what is read of it comes to nothing.

Not compiled: in mypyc's coroutines an `await` inside `except` or `finally` leaves the exception behind for others to find.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from wws.http import Stream

__all__ = ["or_close"]

T = TypeVar("T")


async def or_close(work: Awaitable[T], stream: Stream) -> T:
    """The result of `work`; when it raises, or is cancelled, `stream` is closed first."""
    try:
        return await work
    except BaseException:
        await stream.aclose()
        raise
