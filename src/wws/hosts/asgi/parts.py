"""What runs beside an ASGI application: the parts of a serving process, started and stopped with the application."""

from __future__ import annotations

import asyncio
from typing import Self

from wws.hosts.server.housekeeping import Housekeeping
from wws.hosts.server.limits import TICK
from wws.hosts.server.process import Process
from wws.project.settings import Project
from wws.providers import make_providers
from wws.stores import Store, open_store

__all__ = ["Parts"]

GRACE = 5.0
"""Seconds that work behind answers gets at the end; the server has waited for the answers themselves."""


class Parts:
    """`Parts.start(project)` in the event loop that serves; `stop` at its end. Raises `ConfigError`, `StoreError`."""

    def __init__(self, project: Project, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self.project = project
        self.loop = loop
        self._store = store
        self.process = Process(project, store, loop)
        self.process.switch(self.process.prepare(project, project.policy, make_providers(project.policy, self.process.clock)))
        self._housekeeping = Housekeeping(self.process.tally, self.process.ledger, store, loop)
        self._rounds = loop.create_task(self._housekeeping.keep())
        self._timer = loop.call_later(TICK, self._tick)

    @classmethod
    def start(cls, project: Project) -> Self:
        """All of it, for the running loop."""
        store = open_store(project.store_url, project.folder)
        try:
            return cls(project, store, asyncio.get_running_loop())
        except BaseException:
            store.close()
            raise

    def _tick(self) -> None:
        self._timer = self.loop.call_later(TICK, self._tick)  # first: no error below may end the ticking
        self.process.dialer.tick(self.loop.time())

    async def stop(self) -> None:
        """Ends it: what is counted is written, what is open is closed."""
        self.process.application.gateway.ready = False
        await self.process.background.drain(GRACE)
        self._rounds.cancel()
        self._timer.cancel()
        self.process.close()
        await self._housekeeping.last()
        self._store.close()
