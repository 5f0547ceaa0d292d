"""The self-hosted gateway: puts a project, its store and the data plane together and serves until told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from typing import Any

from wws.admin.app import Admin
from wws.errors import ConfigError, Problem
from wws.hosts.server import demo as demo_parts
from wws.hosts.server.housekeeping import Housekeeping
from wws.hosts.server.limits import ServerLimits
from wws.hosts.server.process import Process
from wws.hosts.server.server import Server, tls_context
from wws.observe.log import configure
from wws.project.settings import Project
from wws.providers import make_providers
from wws.providers.sandbox import SandboxProvider
from wws.stores import Near, Store, open_for_serving

__all__ = ["serve"]

GRACE = 30.0
"""Seconds that answers in progress get after a signal to stop: the usual termination grace of process supervisors."""


def serve(project: Project, demo: bool = False) -> int:
    """Serves `project` in the foreground until SIGINT or SIGTERM; the exit status. Raises `ConfigError`, `StoreError`."""
    configure()
    try:
        import uvloop
    except ImportError:  # another platform or interpreter: asyncio's own loop does the same, slower
        asyncio.run(_serve(project, demo))
    else:
        uvloop.run(_serve(project, demo))
    return 0


async def _serve(project: Project, demo: bool) -> None:
    loop = asyncio.get_running_loop()
    kv = project.kv
    store = open_for_serving(project.store_url, project.home, kv.timeout, kv.near, kv.grace)
    try:
        await _run(project, demo, loop, store)
    finally:
        store.close()


async def _run(project: Project, demo: bool, loop: asyncio.AbstractEventLoop, store: Store) -> None:
    if isinstance(store, Near):
        await store.guard.start()
    process = Process(project, store, loop)
    origin: Server | None = None
    sandboxed: list[str] = []
    policy, providers = project.policy, make_providers(project.policy, process.clock)
    if demo:
        providers = demo_parts.stand_in(policy, providers, SandboxProvider(process.clock))
        sandboxed = [name for name, provider in providers.items() if provider.name == "sandbox" != name]
        if not policy.origins and any(route.to == "origin" for route in policy.routes):
            origin, url = await demo_parts.start_origin(loop)
            policy = demo_parts.with_origin(policy, url)
    generation = process.prepare(project, policy, providers)
    process.switch(generation)
    settings = project.server
    server = Server(
        process.application,
        loop,
        limits=ServerLimits(
            header_timeout=settings.header_timeout, keep_alive=settings.keep_alive, connections=settings.max_connections
        ),
        tls=_tls(project),
        proxies=settings.trusted_proxies,
        on_tick=process.dialer.tick,
    )
    metrics = process.metrics
    metrics.gauges["wws_connections_open"] = ("Client connections open.", lambda: float(len(server.connections)))
    admin = Server(Admin(process.application, metrics), loop) if settings.admin is not None else None
    stop = _stop_signals(loop)
    bound = await _listen(server, str(settings.listen), "server.listen", project)
    words = f"ready on {server.scheme}://{bound}"
    if admin is not None:
        words += f", admin on http://{await _listen(admin, str(settings.admin), 'server.admin', project)}"
    housekeeping = Housekeeping(process.tally, process.ledger, store, loop)
    rounds = loop.create_task(housekeeping.keep())
    if demo:
        base = f"{server.scheme}://{bound}"
        key = await demo_parts.make_key(generation.env)
        sys.stdout.write(demo_parts.welcome(base, key, sandboxed, origin is not None))
        sys.stdout.flush()
    sys.stderr.write(f"wws {words}\n")
    sys.stderr.flush()
    # What lives now lives for good: the collector need not look at it again, and rarely at what requests leave behind.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    process.background(generation.functions.warm())
    process.watchdog.start()
    await stop.wait()
    process.application.gateway.ready = False
    await asyncio.gather(server.stop(GRACE), process.jobs.drain(GRACE))
    await process.background.drain(GRACE / 6)
    rounds.cancel()
    for other in (admin, origin):
        if other is not None:
            await other.stop(0.0)
    process.close()
    await housekeeping.last()


def _tls(project: Project) -> Any:
    settings = project.server
    if settings.cert is None or settings.key is None:
        return None
    try:
        return tls_context(str(settings.cert), str(settings.key))
    except OSError as error:
        raise ConfigError([Problem(str(project.path), None, "server.cert", f"cannot be used: {error}")]) from None


async def _listen(server: Server, address: str, key: str, project: Project) -> str:
    try:
        return await server.listen(address)
    except OSError as error:
        message = f"cannot listen on {address}: {error.strerror or error}. Is another process there? Choose another address."
        raise ConfigError([Problem(str(project.path), None, key, message)]) from None


def _stop_signals(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Set by SIGINT and SIGTERM. To be asked for before anyone is told that we are ready, for a stop may follow at once."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
