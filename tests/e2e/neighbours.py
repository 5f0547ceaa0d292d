"""What stands around the gateway: the auth server, two providers and the origin, on an event loop in a thread of its own.

The tests and the SDKs they use may then block as a user's program does.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from tests.e2e.origin import Origin
from tests.support.provider import ProviderStandIn
from tests.support.supabase import Supabase, private_key

_T = TypeVar("_T")
_PATIENCE = 10.0  # seconds for anything in the thread, which only ever has loopback work to do


class Neighbours:
    """`with Neighbours() as around: ...`. `main` and `backup` are providers, `origin` the web application."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="neighbours", daemon=True)
        self.supabase = Supabase()
        self.main = ProviderStandIn()
        self.backup = ProviderStandIn()
        self.origin = Origin()
        for alg in ("ES256", "RS256", "EdDSA"):
            private_key(alg)  # made here, once: RSA takes its time

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    async def _start(self) -> None:
        await self.supabase.start()
        await self.main.__aenter__()
        await self.backup.__aenter__()
        await self.origin.start()

    async def _stop(self) -> None:
        await self.origin.stop()
        await self.backup.__aexit__()
        await self.main.__aexit__()
        await self.supabase.stop()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of `work`, done in the thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def call(self, work: Callable[[], object]) -> None:
        """Calls `work` in the thread: for what touches an event of its loop."""

        async def once() -> None:
            work()

        self.run(once())

    def reset(self) -> None:
        """All good, and nothing counted."""
        self.supabase.mode = "ok"
        self.supabase.calls.clear()
        self.supabase.requests.clear()
        self.main.requests.clear()
        self.backup.requests.clear()
        self.call(self.origin.reset)
