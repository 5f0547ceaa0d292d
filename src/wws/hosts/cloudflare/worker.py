"""The gateway as a Python Worker, and the Durable Object that counts for it.

A build writes the module that names them (`entry.py`):

    class Default(Worker):
        bundle = prepared(DATA, __file__)
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import js
import pyodide.ffi
from pyodide.webloop import PyodideFuture, PyodideTask
from workers import DurableObject, WorkerEntrypoint, import_from_javascript, wait_until

from wws.bindings import SystemClock
from wws.errors import ConfigError, Refusal
from wws.functions.invoke import Function
from wws.functions.namespace import Namespace
from wws.functions.refuse import refuse
from wws.hosts.cloudflare.counts import Counts, DurableCounter
from wws.hosts.cloudflare.kv import WorkersKV
from wws.hosts.cloudflare.rates import BindingLimiter, binding, rates
from wws.hosts.cloudflare.turns import install
from wws.hosts.edge.app import EdgeApp, assemble, written
from wws.hosts.edge.bundle import read
from wws.hosts.edge.functions import Shipped, functions_of
from wws.hosts.edge.memory import settled
from wws.hosts.edge.plain import from_plain
from wws.hosts.edge.web import Web
from wws.providers import make_providers

__all__ = ["COUNTERS", "KV", "Counters", "Prepared", "Worker", "prepared"]

KV = "WWS_KV"
"""The binding of the namespace with sessions, API keys and cached answers."""
COUNTERS = "WWS_COUNTERS"
"""The binding of the Durable Objects that count."""
NEAR = 5.0
"""Seconds that sessions and keys are remembered by an isolate."""

_web = Web(js, pyodide.ffi)
_log = logging.getLogger("wws.cloudflare")


class Prepared:
    """A bundle and its functions, imported; the app that comes of it with an isolate's first request. Answers every event."""

    def __init__(self, data: Any, functions: Mapping[str, Function]) -> None:
        self.data = data
        self.functions = functions
        self.app: EdgeApp | None = None  # for the life of an isolate, which the platform ends with every deployment

    async def fetch(self, request: Any, *_: Any) -> Any:
        """A `fetch` event."""
        raw = getattr(request, "js_object", request)
        try:
            app = self.app or _ready(self)
        except ConfigError as error:
            _log.error("this worker cannot serve: %s. Set secrets with: wrangler secret put NAME", error)
            return written(_web, refuse(Refusal("internal_error"), openai=False), raw.method, wait_until)
        client = _web.present(raw.headers.get("cf-connecting-ip"))
        return await app.fetch(raw, wait_until, client or "")

    async def scheduled(self, controller: Any, *_: Any) -> None:
        """A cron trigger."""
        app = self.app or _ready(self)
        await app.scheduled(controller.cron, controller.scheduledTime / 1000, wait_until)


def prepared(data: str, entry: str) -> Prepared:
    """What can be done before the first request, and is part of the platform's snapshot. `data` is what the build shipped, as
    JSON; beside the file `entry` lies the folder of the functions."""
    sys.path.append(str(Path(entry).parent / "functions"))  # at the end: names of the standard library mean that
    bundle = json.loads(data)
    shipped = {name: from_plain(Shipped, one) for name, one in bundle.get("functions", {}).items()}
    return Prepared(bundle, functions_of(shipped))


class Worker(WorkerEntrypoint):
    """The platform's way in: it finds the events by these methods, and makes an object of the class for every request.

    It gets the same one each time. A new one would have its environment wrapped by the SDK, and its methods' signatures looked
    up anew by Pyodide, which together is a fifth of a refusal.
    """

    bundle: ClassVar[Prepared]
    fetch = Prepared.fetch
    scheduled = Prepared.scheduled

    def __new__(cls, *_: Any) -> Any:
        return cls.bundle


class Counters(DurableObject):
    """One subject's counts."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        state = getattr(self.ctx, "_ctx", self.ctx)  # the object itself: the SDK's wrapper converts every value twice
        self._counts = Counts(_web, state.storage, time.time)

    def count(self, call: str) -> str:
        """See `Counts.count`."""
        return self._counts.count(call)

    async def alarm(self, *_: Any) -> None:
        """The platform calls at the time that was set."""
        self._counts.sweep()


def _ready(prepared: Prepared) -> EdgeApp:
    env = import_from_javascript("cloudflare:workers").env

    def secret(name: str) -> str | None:
        value = _web.present(getattr(env, name, None))
        return None if value is None else str(value)

    bundle, pepper = read(prepared.data, secret)
    clock = SystemClock()
    kv = WorkersKV(_web, getattr(env, KV), clock.time, near=NEAR)
    seen = {name: WorkersKV(_web, getattr(env, name), clock.time, f"ns:{name}:") for name in bundle.kv_namespaces}
    install(asyncio.get_running_loop(), PyodideFuture, PyodideTask)
    app = prepared.app = assemble(
        _web,
        bundle,
        pepper,
        kv=kv,
        counter=DurableCounter(_web, getattr(env, COUNTERS)),
        approximate=BindingLimiter(_web, {rate: getattr(env, binding(rate)) for rate in rates(bundle.policy)}),
        providers=make_providers(bundle.policy, clock),
        functions=prepared.functions,
        namespaces={name: Namespace(store, name) for name, store in seen.items()},
        share_in_flight=False,
        clock=clock,
        write=js.console.log,
    )
    settled()
    return app
