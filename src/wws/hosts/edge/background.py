"""Work that goes on after an answer was sent, in the request that asked for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

__all__ = ["Background", "Keep"]

Keep = Callable[[Awaitable[Any]], None]
"""The platform's `waitUntil`: keeps the process, or the request, alive for an awaitable."""
_log = logging.getLogger("wws.background")


class Background:
    """Hands awaitables to the `waitUntil` of the request that runs: on Cloudflare each request has its own."""

    __slots__ = ("_current",)

    def __init__(self) -> None:
        self._current: ContextVar[Keep] = ContextVar("wws.background")

    def enter(self, keep: Keep) -> None:
        """`keep` belongs to the request that this task, and every task it starts, works for."""
        self._current.set(keep)

    def __call__(self, awaitable: Awaitable[Any]) -> None:
        """Keeps `awaitable` running; what it raises is logged."""
        self._current.get()(_logged(awaitable))


async def _logged(awaitable: Awaitable[Any]) -> None:
    try:
        await awaitable
    except Exception:
        _log.exception("background work failed")
