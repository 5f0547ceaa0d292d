"""The gateway in a Deno process: what `glue/main.ts` calls."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import js
import pyodide.ffi

from wws.bindings import SystemClock
from wws.errors import ConfigError
from wws.hosts.deno.counter import DenoCounter
from wws.hosts.deno.database import Database
from wws.hosts.deno.keys import run
from wws.hosts.deno.kv import DenoKV
from wws.hosts.deno.loop import EdgeLoop
from wws.hosts.edge.app import EdgeApp, assemble
from wws.hosts.edge.bundle import PEPPER, Bundle, read
from wws.hosts.edge.functions import functions_of
from wws.hosts.edge.plain import from_plain
from wws.hosts.edge.web import Web
from wws.providers import make_providers

__all__ = ["Served", "keys", "start", "warm"]

_log = logging.getLogger("wws.deno")


NEAR = 5.0
"""Seconds for which a process believes what it has read of sessions and API keys."""
FUNCTIONS = "/wws.zip/functions"
"""Where the glue has put the project's functions."""


def warm(data: str) -> None:
    """Before a memory snapshot is taken: everything is imported by now, and the bundle has been read once, without a secret.

    The project's functions are not imported: a token that one draws at import would be the same in every process.
    """
    from_plain(Bundle, json.loads(data))


def start(data: str, database: Database, secret: Callable[[str], Any], wake: Any) -> Served | str:
    """The gateway of the bundle `data`, or why it cannot serve. `secret` reads the environment; "" where a name is not set."""
    random.seed()  # a memory snapshot has frozen its state: every process would draw the same
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", force=True)
    try:
        bundle, pepper = read(json.loads(data), lambda name: str(secret(name)) or None)
    except ConfigError as error:
        return str(error)
    loop = EdgeLoop(wake.soon, wake.later)
    wake.turn, wake.rung = pyodide.ffi.create_proxy(loop.turn), pyodide.ffi.create_proxy(loop.rung)
    loop.begin()
    return Served(_app(bundle, pepper, database))


async def keys(data: str, database: Database, secret: Callable[[str], Any], arguments: list[str]) -> Any:
    """`deno task keys`: the status to end with, and what to print. Of the secrets only the pepper is needed."""
    try:
        bundle, pepper = read(json.loads(data), lambda name: str(secret(name)) or ("" if name == PEPPER else "unused"))
    except ConfigError as error:
        return pyodide.ffi.to_js([1, f"error: {error}"])
    return pyodide.ffi.to_js(await run(_app(bundle, pepper, database).env, arguments))


def _app(bundle: Bundle, pepper: bytes, database: Database) -> EdgeApp:
    sys.path.append(FUNCTIONS)  # at the end: names of the standard library mean that
    web, clock = Web(js, pyodide.ffi), SystemClock()
    functions = functions_of(bundle.functions)
    kv, counter = DenoKV(web, database, clock.time, NEAR), DenoCounter(web, database, clock.time)
    providers = make_providers(bundle.policy, clock)
    return assemble(
        web, bundle, pepper, kv=kv, counter=counter, providers=providers, functions=functions, clock=clock, write=js.console.log
    )


class Served:
    """A gateway that answers, and what runs behind its answers."""

    def __init__(self, app: EdgeApp) -> None:
        self.app = app
        self._kept: set[asyncio.Future[Any]] = set()

    def fetch(self, request: Any, client: str) -> asyncio.Future[Any]:
        """Answers a `Request`; what is given back can be cancelled, when the client has left."""
        return asyncio.ensure_future(self.app.fetch(request, self._keep, client))

    def _keep(self, awaitable: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(awaitable)
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    async def drain(self, seconds: float) -> None:
        """The end: no longer ready, and waits for what runs behind answers."""
        self.app.gateway.ready = False
        if self._kept:
            await asyncio.wait(self._kept, timeout=seconds)
