"""What runs beside an ASGI application: the parts of a serving process, started and stopped with the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

from wws.hosts.server.limits import TICK
from wws.hosts.server.serving import Serving, store_of
from wws.project.settings import Project
from wws.stores import Store

__all__ = ["Parts"]


class Parts:
    """`await Parts.start(load)` in the event loop that serves; `stop` at its end."""

    def __init__(self, serving: Serving, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self.serving = serving
        self.loop = loop
        self._store = store
        self._timer = loop.call_later(TICK, self._tick)

    @classmethod
    async def start(cls, load: Callable[[], Project]) -> Self:
        """All of it, for the running loop. Raises `ConfigError`, `StoreError`."""
        loop = asyncio.get_running_loop()
        project = await loop.run_in_executor(None, load)
        store = store_of(project)
        try:
            serving = Serving(project, store, loop, load)
            await serving.begin()
        except BaseException:
            store.close()
            raise
        serving.ready(alone=False)
        return cls(serving, store, loop)

    def _tick(self) -> None:
        self._timer = self.loop.call_later(TICK, self._tick)  # first: no error below may end the ticking
        self.serving.process.dialer.tick(self.loop.time())

    async def stop(self) -> None:
        """Ends it: what is counted is written, what is open is closed. The server has waited for the answers."""
        await self.serving.drain(delay=False)
        self._timer.cancel()
        await self.serving.close()
        self._store.close()
