"""The self-hosted gateway: puts a project, its store and the data plane together and serves until told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wws.admin.app import Admin
from wws.bindings import Env, Namespace, Secrets, Services, SystemClock
from wws.errors import ConfigError, Problem
from wws.functions.upstreams import Upstream, Upstreams, upstreams_of
from wws.gateway import Gateway
from wws.hosts.server import demo as demo_parts
from wws.hosts.server.application import Application, Observers
from wws.hosts.server.background import Background
from wws.hosts.server.crypto import CryptographyVerifier
from wws.hosts.server.dialer import Dialer
from wws.hosts.server.housekeeping import Housekeeping
from wws.hosts.server.limits import ServerLimits
from wws.hosts.server.server import Server, tls_context
from wws.observe.ledger import Ledger
from wws.observe.log import RequestLog, configure
from wws.observe.metrics import Metrics, Series
from wws.observe.tally import Tally
from wws.project.pepper import pepper
from wws.project.secret import Secret
from wws.project.settings import Project
from wws.providers import make_providers
from wws.providers.sandbox import SandboxProvider
from wws.stores import Store, open_store

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
    store = open_store(project.store_url, project.folder)
    try:
        await _run(project, demo, loop, store)
    finally:
        store.close()


async def _run(project: Project, demo: bool, loop: asyncio.AbstractEventLoop, store: Store) -> None:
    policy, settings, clock = project.policy, project.server, SystemClock()
    seed = pepper(project.store_url, project.folder, os.environ)
    providers = make_providers(policy, clock)
    origin: Server | None = None
    sandboxed: list[str] = []
    if demo:
        providers = demo_parts.stand_in(policy, providers, SandboxProvider(clock))
        sandboxed = [name for name, provider in providers.items() if provider.name == "sandbox" != name]
        if not policy.origins:
            origin, url = await demo_parts.start_origin(loop)
            policy = demo_parts.with_origin(policy, url)
    tally = Tally()
    metrics = Metrics(tally, policy.version)
    ledger = Ledger(_ledger_file(project), clock.time, policy.providers)
    tally.reader(ledger.absorb)
    log = RequestLog(settings.log, loop=loop, time=clock.time, pepper=seed, version=policy.version)
    background, dialer = Background(), Dialer(loop)
    services = Services(
        policy, store, store, dialer, CryptographyVerifier(), Secrets(seed), providers, clock, background,
        observe=Observers(tally, log, clock.monotonic),
    )  # fmt: skip
    env = Env(services, _bindings(project, store))
    gateway = Gateway(env)
    server = Server(
        Application(gateway, env, background, secrets.token_hex(5)),
        loop,
        limits=ServerLimits(
            header_timeout=settings.header_timeout, keep_alive=settings.keep_alive, connections=settings.max_connections
        ),
        tls=_tls(project),
        proxies=settings.trusted_proxies,
        on_tick=dialer.tick,
    )
    metrics.gauges["wws_requests_active"] = ("Requests in progress.", lambda: float(gateway.in_flight))
    metrics.gauges["wws_connections_open"] = ("Client connections open.", lambda: float(len(server.connections)))
    metrics.gauges["wws_upstream_connections_open"] = ("Upstream connections open.", lambda: float(dialer.open_connections))
    metrics.gauges["wws_tasks"] = ("Tasks of the event loop.", lambda: float(len(asyncio.all_tasks(loop))))
    metrics.series.update(_route_gauges(upstreams_of(env)))
    admin = Server(Admin(gateway, metrics), loop) if settings.admin is not None else None
    stop = _stop_signals(loop)
    bound = await _listen(server, str(settings.listen), "server.listen", project)
    words = f"ready on {server.scheme}://{bound}"
    if admin is not None:
        words += f", admin on http://{await _listen(admin, str(settings.admin), 'server.admin', project)}"
    housekeeping = Housekeeping(tally, ledger, store, loop)
    rounds = loop.create_task(housekeeping.keep())
    if demo:
        base = f"{server.scheme}://{bound}"
        sys.stdout.write(demo_parts.welcome(base, await demo_parts.make_key(env), sandboxed, origin is not None))
        sys.stdout.flush()
    sys.stderr.write(f"wws {words}\n")
    sys.stderr.flush()
    # What lives now lives for good: the collector need not look at it again, and rarely at what requests leave behind.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    await stop.wait()
    gateway.ready = False
    await server.stop(GRACE)
    await background.drain(GRACE / 6)
    rounds.cancel()
    for other in (admin, origin):
        if other is not None:
            await other.stop(0.0)
    dialer.close()
    log.flush()
    await housekeeping.last()


def _route_gauges(routes: Upstreams) -> dict[str, Series]:
    """Which routes to AI providers are closed, and how full they are."""

    def of(read: Callable[[Upstream], float | None]) -> Callable[[], list[tuple[tuple[str, ...], float]]]:
        return lambda: [((r.ref.provider, r.ref.model), level) for r in routes if (level := read(r)) is not None]

    labels = ("provider", "model")
    return {
        "wws_breaker_state": ("0 closed, 1 half-open, 2 open.", labels, of(lambda r: float(r.state))),
        "wws_queue_depth": (
            "Requests in line for a place.",
            labels,
            of(lambda r: None if r.gate is None else float(r.gate.waiting)),
        ),
        "wws_upstream_places_in_use": (
            "Places taken at routes that have a limit.",
            labels,
            of(lambda r: None if r.gate is None else float(r.gate.in_use)),
        ),
    }


def _bindings(project: Project, store: Store) -> dict[str, Any]:
    bindings: dict[str, Any] = {name: Namespace(store, name) for name in project.kv_namespaces}
    for name, value in project.vars.items():
        bindings[name] = value.reveal() if isinstance(value, Secret) else value
    return bindings


def _ledger_file(project: Project) -> Path | None:
    scheme, _, rest = project.store_url.partition(":")
    return project.folder / rest.partition("?")[0] / "ledger.sqlite" if scheme == "lmdb" else None


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
