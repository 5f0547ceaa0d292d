"""The gateway in a Deno process: what `glue/main.ts` calls."""

from __future__ import annotations

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
from wws.hosts.deno.border import Border
from wws.hosts.deno.counter import DenoCounter
from wws.hosts.deno.database import Database, DenoDatabase
from wws.hosts.deno.dial import DenoDial
from wws.hosts.deno.exchange import Exchanges
from wws.hosts.deno.files import DenoFiles
from wws.hosts.deno.keys import run
from wws.hosts.deno.kv import DenoKV
from wws.hosts.deno.loop import EdgeLoop
from wws.hosts.deno.ticks import run_tick
from wws.hosts.edge.app import EdgeApp, assemble
from wws.hosts.edge.bundle import PEPPER, Bundle, read
from wws.hosts.edge.functions import functions_of
from wws.hosts.edge.memory import settled
from wws.hosts.edge.plain import from_plain
from wws.hosts.edge.web import Web
from wws.providers import make_providers

__all__ = ["Served", "keys", "start", "warm"]

_log = logging.getLogger("wws.deno")


NEAR = 2.5
"""Seconds for which a process believes what it has read of sessions and API keys, and then what it has concluded from it."""
FUNCTIONS = "/wws.zip/functions"
"""Where the glue has put the project's functions."""


def warm(data: str) -> None:
    """Before a memory snapshot is taken: everything is imported by now, and the bundle has been read once, without a secret.

    The project's functions are not imported: a token that one draws at import would be the same in every process.
    """
    from_plain(Bundle, json.loads(data))


def start(data: str, glue: Any, wake: Any, secret: Callable[[str], Any]) -> Served | str:
    """The gateway of the bundle `data`, or why it cannot serve. `secret` reads the environment; "" where a name is not set."""
    random.seed()  # a memory snapshot has frozen its state: every process would draw the same
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", force=True)
    try:
        bundle, pepper = read(json.loads(data), lambda name: str(secret(name)) or None)
    except ConfigError as error:
        return str(error)
    loop = _loop(wake)
    border = _border(glue, loop)
    app = _app(bundle, pepper, border)
    exchanges = Exchanges(app, border, loop)
    app.enter(exchanges.keep)
    glue.fetch, glue.leave = pyodide.ffi.create_proxy(exchanges.fetch), pyodide.ffi.create_proxy(exchanges.leave)
    settled()
    return Served(app, exchanges, DenoDatabase(border), loop)


def keys(data: str, glue: Any, wake: Any, secret: Callable[[str], Any], arguments: list[str]) -> Awaitable[Any]:
    """`deno task keys`: the status to end with, and what to print. Of the secrets only the pepper is needed."""
    loop = _loop(wake)
    return loop.create_task(_keys(data, _border(glue, loop), secret, arguments))


async def _keys(data: str, border: Border, secret: Callable[[str], Any], arguments: list[str]) -> Any:
    try:
        bundle, pepper = read(json.loads(data), lambda name: str(secret(name)) or ("" if name == PEPPER else "unused"))
    except ConfigError as error:
        return pyodide.ffi.to_js([1, f"error: {error}"])
    return pyodide.ffi.to_js(await run(_app(bundle, pepper, border).env, arguments))


def _loop(wake: Any) -> EdgeLoop:
    loop = EdgeLoop(wake.soon, wake.later)
    wake.turn, wake.rung = pyodide.ffi.create_proxy(loop.turn), pyodide.ffi.create_proxy(loop.rung)
    loop.begin()
    return loop


def _border(glue: Any, loop: EdgeLoop) -> Border:
    border = Border(glue, pyodide.ffi.to_js, loop)
    glue.settle = pyodide.ffi.create_proxy(border.settle)
    return border


def _app(bundle: Bundle, pepper: bytes, border: Border) -> EdgeApp:
    sys.path.append(FUNCTIONS)  # at the end: names of the standard library mean that
    database, clock = DenoDatabase(border), SystemClock()
    functions = functions_of(bundle.functions)
    kv, counter = DenoKV(database, clock.time, NEAR), DenoCounter(database, clock.time)
    providers = make_providers(bundle.policy, clock)
    app = assemble(
        Web(js, pyodide.ffi), bundle, pepper, kv=kv, counter=counter, providers=providers, functions=functions, clock=clock,
        dial=DenoDial(border), write=border.glue.log,
    )  # fmt: skip
    if bundle.pages:
        app.env.wws.assets = DenoFiles(border, bundle.pages, bundle.missing)
    return app


class Served:
    """A gateway that answers, and runs what is due, until it is told to end."""

    def __init__(self, app: EdgeApp, exchanges: Exchanges, database: Database, loop: EdgeLoop) -> None:
        self._app = app
        self._exchanges = exchanges
        self._database = database
        self._loop = loop

    def tick(self, cron: str) -> Awaitable[None]:
        """The platform's clock: runs what `[triggers]` has for `cron`."""
        return self._loop.create_task(run_tick(self._app, self._database, cron, self._exchanges.keep))

    async def drain(self, seconds: float) -> None:
        """The end: no longer ready, and waits for what runs behind answers."""
        self._app.gateway.ready = False
        await self._exchanges.finished(seconds)
