"""Work that goes on after an answer has been sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

_log = logging.getLogger("wws.background")


class Background:
    """Keeps tasks alive until they end (asyncio itself holds only weak references) and logs what they raise."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[Any]] = set()

    def __call__(self, awaitable: Awaitable[Any]) -> None:
        """Starts it."""
        task = asyncio.ensure_future(awaitable)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def __len__(self) -> int:
        return len(self._tasks)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("background work failed", exc_info=error)

    async def drain(self, grace: float) -> None:
        """Waits up to `grace` seconds for what runs, then cancels it."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
