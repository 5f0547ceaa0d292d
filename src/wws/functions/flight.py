"""One load for all who want the same thing at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from wws.bindings import Services

__all__ = ["Flights"]

T = TypeVar("T")


class Flights(Generic[T]):
    """Loads in progress, by key. A caller that is cancelled leaves the load running for the others and for the store.

    Where the host forbids requests to wait for one another's I/O (`share_in_flight` False) each makes its own.
    """

    __slots__ = ("_tasks", "_wws")

    def __init__(self, wws: Services) -> None:
        self._wws = wws
        self._tasks: dict[str, asyncio.Task[T]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, key: str) -> bool:
        return key in self._tasks

    async def share(self, key: str, load: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the load of `key` that is in progress, else of a new one."""
        if not self._wws.share_in_flight:
            return await load()
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(load())
            task.add_done_callback(lambda _: self._tasks.pop(key, None))
            self._wws.background(task)
        return await asyncio.shield(task)
