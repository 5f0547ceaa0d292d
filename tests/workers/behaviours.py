"""What the provider does in these tests, by model."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["always_500", "endless", "paced", "waiting"]


async def endless(exchange: Any) -> None:
    """A stream that never ends by itself."""
    events = exchange.stream()
    await exchange.events(events[:3], end=False)
    while True:
        await asyncio.sleep(0.05)
        await exchange.raw(b"%x\r\n%s\r\n" % (len(events[2]), events[2]))


async def paced(exchange: Any) -> None:
    """A stream of about a second."""
    await exchange.events(exchange.stream(), pause=0.15)


async def waiting(exchange: Any) -> None:
    await exchange.hang()


async def always_500(exchange: Any) -> None:
    await exchange.json(500, {"error": {"message": "no"}})
