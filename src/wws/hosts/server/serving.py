"""A process that serves a project: its parts put together, its configuration changed, its end.

It is the same for a gateway of one process and for each of several workers; who tells it to stop, and where its listening
sockets come from, is what differs (`main.py`, `worker.py`).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
from collections.abc import Callable
from typing import Any

from wws.bindings import Forgotten, Shares, SystemClock, alone
from wws.errors import ConfigError, Problem, WwsError
from wws.hosts.server import demo as demo_parts
from wws.hosts.server import heap
from wws.hosts.server.housekeeping import Housekeeping
from wws.hosts.server.limits import ServerLimits
from wws.hosts.server.process import Generation, Process
from wws.hosts.server.reload import History, Reloaded, failed, unchangeable
from wws.hosts.server.server import Server, tls_context
from wws.hosts.server.status import process_fields
from wws.project.settings import Project, ServerSettings
from wws.providers import make_providers
from wws.providers.sandbox import SandboxProvider
from wws.stores import Near, Store, open_for_serving

__all__ = ["ADMIN_GRACE", "Serving", "store_of", "tls_of"]

ADMIN_GRACE = 2.0
"""Seconds that an answer of the admin listener may take at the end."""
IMPORTS = 30.0
"""Seconds that a reload waits for the code of functions to be imported."""
_SETTLED = 1.0
"""Seconds after the start at which is done what may wait for the first answers."""
_log = logging.getLogger("wws.server")


class Serving:
    """`await begin()`, give `server` its listeners, `ready()`, and at the end `await drain()`.

    `load` reads the project anew, for a reload. Raises `ConfigError` when the project cannot be served.
    """

    def __init__(
        self,
        project: Project,
        store: Store,
        loop: asyncio.AbstractEventLoop,
        load: Callable[[], Project],
        demo: bool = False,
        places: Shares = alone,
        forgotten: Forgotten | None = None,
    ) -> None:
        self.started = project
        """The project of the start: its listeners and its store stay, whatever a reload says."""
        self.process = Process(project, store, loop, places, forgotten)
        self.reloads = History()
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self.state = "starting"
        self.sandboxed: list[str] = []
        self.origin: Server | None = None
        self.server: Server
        self.demo = demo
        self.lenient = False
        """Whether a broken function stops no reload: in `wws dev` its own route says what is wrong, and all others are new."""
        self._origin_url = ""
        self._load = load
        self._loop = loop
        self._clock = SystemClock()
        self._began = self._clock.monotonic()
        self._prepared: Generation | None = None
        self._tls = tls_of(project)
        self._reloading = asyncio.Lock()
        key_use = self.process.key_use
        self._housekeeping = Housekeeping(
            self.process.tally, self.process.ledger, store, loop, self.process.watch.rest, lambda: key_use.write(store)
        )
        self._rounds: asyncio.Task[None] | None = None

    # the start

    async def begin(self) -> None:
        """Makes everything but the listeners."""
        store = self.process.store
        if isinstance(store, Near):
            await store.guard.start()
        policy = self.started.policy
        if self.demo and not policy.origins and any(route.to == "origin" for route in policy.routes):
            self.origin, self._origin_url = await demo_parts.start_origin(self._loop)
        process = self.process
        process.switch(self._generation(self.started))
        self.server = Server(
            process.application, self._loop, limits=_limits(self.started.server), tls=self._tls,
            proxies=self.started.server.trusted_proxies, on_tick=process.dialer.tick,
        )  # fmt: skip
        process.metrics.gauges["wws_connections_open"] = (
            "Client connections open.",
            lambda: float(len(self.server.connections)),
        )

    def _generation(self, project: Project) -> Generation:
        policy, providers = project.policy, make_providers(project.policy, self._clock)
        if self.demo:
            providers = demo_parts.stand_in(policy, providers, SandboxProvider(self._clock))
            self.sandboxed = [name for name, provider in providers.items() if provider.name == "sandbox" != name]
            if not policy.origins and self._origin_url:
                policy = demo_parts.with_origin(policy, self._origin_url)
        made = self.process.prepare(project, policy, providers)
        beside = None if project.rollout is None else self._generation(project.rollout.project)
        return made._replace(rolled_out=beside)

    def ready(self, *, alone: bool = True) -> None:
        """Everything is there: what is done beside the requests begins. `alone`: the process is the gateway's own.

        What lives then lives for good: the collector need not look at it again, and rarely at what requests leave behind.
        """
        self._rounds = self._loop.create_task(self._housekeeping.keep())
        generation = self.process.generation
        for one in (generation, generation.rolled_out):
            if one is not None:
                self.process.background(one.functions.warm())
        self.process.watchdog.start()
        self.state = "ready"
        if alone:
            gc.collect()
            gc.freeze()
            gc.set_threshold(20_000, 20, 20)
            self._loop.call_later(_SETTLED, heap.retain)

    # another configuration

    async def prepare(self) -> Project:
        """Reads the project anew and makes it ready, and changes nothing. Raises `WwsError` when it cannot be served."""
        self._prepared = None
        project = await self._loop.run_in_executor(None, self._load)
        tls_of(project)
        prepared = self._generation(project)
        every = [prepared] if prepared.rolled_out is None else [prepared, prepared.rolled_out]
        try:
            for one in every:
                if self.lenient:
                    self.process.background(one.functions.warm())
                else:
                    await _sound(one)
        except WwsError:
            for one in every:
                one.functions.close()
            raise
        self._prepared = prepared
        return project

    def switch(self) -> Reloaded:
        """What was prepared answers from now on; requests in progress keep the configuration they began with."""
        generation, self._prepared = self._prepared, None
        if generation is None:
            raise WwsError("nothing is prepared")
        project = generation.project
        self.process.switch(generation)
        self.server.limits = _limits(project.server)
        self.server.proxies = project.server.trusted_proxies
        if self._tls is not None and project.server.cert is not None:
            self._tls.load_cert_chain(str(project.server.cert), str(project.server.key))  # a renewed one, perhaps
        return Reloaded(True, project.policy.version, [], [*map(str, project.warnings), *unchangeable(self.started, project)])

    async def reload(self) -> Reloaded:
        """Reads the project and the code of its functions anew, and switches to them; when they are wrong the old ones stay."""
        async with self._reloading:
            try:
                await self.prepare()
                reloaded = self.switch()
            except WwsError as error:
                reloaded = failed(error, self.process.generation.project.policy.version)
        self.reloads.note(reloaded, self._clock.time())
        tell(reloaded)
        return reloaded

    # what can be seen

    def status(self) -> dict[str, Any]:
        """This process, as `/status` shows it."""
        return {
            "state": self.state,
            "uptime": round(self._clock.monotonic() - self._began, 1),
            "connections": len(self.server.connections),
            **process_fields(self.process),
        }

    # the end

    async def drain(self, *, delay: bool = True) -> None:
        """Says that it is no longer ready, waits `drain_delay`, stops listening, and lets answers finish for `grace`."""
        settings = self.process.generation.project.server
        self.state = "draining"
        self.process.application.gateway.ready = False
        self.server.draining = True
        if delay and settings.drain_delay:
            waiting = self._loop.create_task(self.hurry.wait())
            await asyncio.wait({waiting}, timeout=settings.drain_delay)
            waiting.cancel()
        jobs = self._loop.create_task(self.process.jobs.drain(settings.grace, self.hurry))
        await self.server.stop(settings.grace, self.hurry)
        await jobs
        await self.process.background.drain(0.0 if self.hurry.is_set() else settings.grace / 6)
        if self.origin is not None:
            await self.origin.stop(0.0)

    async def close(self) -> None:
        """Writes what is left to be written."""
        if self._rounds is not None:
            self._rounds.cancel()
        self.process.close()
        await self._housekeeping.last()


async def _sound(generation: Generation) -> None:
    """Raises `ConfigError` when a function is broken. At the start that stops nothing; here there is something that works."""
    project = generation.project
    imports = asyncio.ensure_future(generation.functions.warm())
    await asyncio.wait({imports}, timeout=IMPORTS)
    if not imports.done():
        imports.cancel()
        raise ConfigError([Problem(str(project.path), None, "functions", f"the code was not imported within {IMPORTS:g} s")])
    problems = [*project.functions.broken, *[problem for error in imports.result() for problem in error.problems]]
    if problems:
        raise ConfigError(problems)


def tell(reloaded: Reloaded) -> None:
    """Writes the outcome of a reload into the log, every problem on a line of its own."""
    for warning in reloaded.warnings:
        _log.warning("reload: %s", warning)
    for problem in reloaded.problems:
        _log.error("reload: %s", problem)
    if reloaded.ok:
        _log.info("reloaded: configuration %s", reloaded.version)
    else:
        _log.error("the configuration is not changed: %s stays in force", reloaded.version)


def _limits(settings: ServerSettings) -> ServerLimits:
    return ServerLimits(
        header_timeout=settings.header_timeout, keep_alive=settings.keep_alive, connections=settings.max_connections
    )


def store_of(project: Project) -> Store:
    """The store of a process that serves. To be opened in the process that uses it. Raises `StoreError`."""
    kv = project.kv
    return open_for_serving(project.store_url, project.home, kv.timeout, kv.near, kv.grace)


def tls_of(project: Project) -> ssl.SSLContext | None:
    """TLS of the public listener, if it has it. Raises `ConfigError`."""
    settings = project.server
    if settings.cert is None or settings.key is None:
        return None
    try:
        return tls_context(str(settings.cert), str(settings.key))
    except OSError as error:
        raise ConfigError([Problem(str(project.path), None, "server.cert", f"cannot be used: {error}")]) from None
