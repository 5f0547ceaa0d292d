"""The application: one project, started with the server it runs in."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from wws.core.wire.head import Refused
from wws.errors import Refusal, WwsError
from wws.hosts.asgi.inbox import Inbox, Receive, Scope, read_head
from wws.hosts.asgi.parts import Parts
from wws.hosts.asgi.reply import Reply, Send, refuse
from wws.observe.log import configure
from wws.project.load import load

__all__ = ["Asgi"]

VARIABLE = "WWS_CONFIG"
DEFAULT_FILE = "wws.toml"

_log = logging.getLogger("wws.asgi")


class Asgi:
    """An ASGI 3 application that serves the project of `config` (None: `WWS_CONFIG`, else ./wws.toml).

    The server's lifespan starts and stops it. Mounted in another application, whose server tells only that one, pass
    `lifespan` on: `FastAPI(lifespan=gateway.lifespan)`; without it the gateway starts with the first request, and the last
    seconds of its ledger are lost at the end. One event loop at a time.
    """

    def __init__(self, config: str | Path | None = None) -> None:
        self._config = config
        self._parts: Parts | None = None
        self._starting: asyncio.Lock | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": "not served here"})
        else:
            raise ValueError(f"an ASGI scope of the type {kind!r} is not known")

    # start and stop

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Runs the gateway while the block does. Raises `ConfigError`, `StoreError` when it cannot start."""
        await self._start()
        try:
            yield
        finally:
            await self._stop()

    async def _start(self) -> Parts:
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            parts = self._parts
            if parts is None or parts.loop is not asyncio.get_running_loop():
                configure()
                file = Path(self._config or os.environ.get(VARIABLE) or DEFAULT_FILE)
                self._parts = parts = await Parts.start(partial(load, file, environ=os.environ))
                for warning in parts.serving.started.warnings:
                    _log.warning("%s", warning)
            return parts

    async def _stop(self) -> None:
        parts, self._parts, self._starting = self._parts, None, None
        if parts is not None:
            await parts.stop()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            step = str(message["type"]).removeprefix("lifespan.")
            try:
                await (self._start() if step == "startup" else self._stop())
            except WwsError as error:
                await send({"type": f"lifespan.{step}.failed", "message": str(error)})
                return
            await send({"type": f"lifespan.{step}.complete"})
            if step == "shutdown":
                return

    # requests

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = self._parts or await self._start()
        process = parts.serving.process
        head = read_head(scope, process.generation.project.server.trusted_proxies)
        if isinstance(head, Refused):
            await refuse(send, head)
            return
        task = asyncio.current_task()
        gone = False

        def leaves() -> None:
            nonlocal gone
            gone = True
            if task is not None:
                task.cancel()

        inbox = Inbox(receive, leaves)
        request = head.request
        try:
            request.body = await inbox.body(head.length, head.framed)
            response = await process.application(request)
            inbox.drop()
            await Reply(send, request, response).send()
        except Refusal:
            return  # the client left before its request was whole
        except asyncio.CancelledError:
            if not gone:
                raise
        finally:
            await inbox.close()
