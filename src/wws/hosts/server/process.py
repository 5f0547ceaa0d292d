"""What lives as long as the process, and what a reload replaces.

A `Process` holds the store, the upstream connections, the counts and the log. A `Generation` is one version of a project made
ready to answer. `prepare` may fail and changes nothing; `switch` cannot fail: requests that run keep the generation they
began with, and every later one gets the new one.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from wws.bindings import Env, Forgotten, Provider, Secrets, Services, Shares, SystemClock, alone
from wws.core.policy import Policy
from wws.core.route.rollout import chosen, subject
from wws.functions.env import bindings as standard
from wws.functions.inherit import inherit
from wws.functions.namespace import Namespace
from wws.functions.upstreams import Upstream, Upstreams, upstreams_of
from wws.gateway import Gateway
from wws.hosts.server.application import Application, Canary, Observers
from wws.hosts.server.assets import Assets
from wws.hosts.server.background import Background
from wws.hosts.server.crypto import CryptographyVerifier
from wws.hosts.server.dialer import Dialer
from wws.hosts.server.forgotten import Herald
from wws.hosts.server.isolate.pool import Isolates
from wws.hosts.server.jobs import Jobs
from wws.hosts.server.watchdog import Watchdog
from wws.http import Request
from wws.observe.key_use import KeyUse
from wws.observe.ledger import Ledger, ledger_file
from wws.observe.log import RequestLog
from wws.observe.metrics import Metrics, Series
from wws.observe.store import store_families
from wws.observe.tally import Tally
from wws.observe.watch import Watch
from wws.project.functions.loading import Functions
from wws.project.pepper import pepper
from wws.project.secret import Secret
from wws.project.settings import Project
from wws.stores import Near, Store, open_jobs

__all__ = ["Generation", "Process", "ledger_of", "worker_count"]


class Generation(NamedTuple):
    """One version of a project, ready to answer."""

    project: Project
    gateway: Gateway
    env: Env
    functions: Functions
    rolled_out: Generation | None = None
    """What only some callers get, while a version is rolled out."""


class Process:
    """The parts of one serving process. Raises `ConfigError` when they cannot be made."""

    def __init__(
        self,
        project: Project,
        store: Store,
        loop: asyncio.AbstractEventLoop,
        places: Shares = alone,
        forgotten: Forgotten | None = None,
    ) -> None:
        self.store = store
        of_turns = getattr(store, "of_turns", None)  # of a store that can group what is counted in one turn of the loop
        if of_turns is not None and places is alone:  # several workers would only wait for one another
            of_turns(loop.call_soon)
        self._places = places
        self.clock = SystemClock()
        self.secrets = Secrets(pepper(project.store_url, project.home, os.environ))
        self.tally = Tally()
        self.metrics = Metrics(self.tally, project.policy.version)
        self.ledger = ledger_of(project)
        self.tally.reader(self.ledger.absorb)
        self.key_use = KeyUse(self.tally, self.clock.time)
        self.log = RequestLog(
            project.server.log, loop=loop, time=self.clock.time, pepper=self.secrets.pepper, version=project.policy.version
        )
        self.background, self.dialer = Background(), Dialer(loop)
        self._forgotten = forgotten
        if isinstance(store, Near):
            self._forgotten = herald = Herald(store.tell, forgotten, self.background)
            store.told = herald.told
        self._replaced: list[Generation] = []
        self.jobs = Jobs(
            lambda: open_jobs(project.store_url, project.home), store, self.clock, self.metrics.measure, self.background
        )
        self.watchdog = Watchdog(loop, self.metrics.measure)
        self.generation: Generation
        self.application: Application
        self._observe = Observers(self.tally, self.log, self.clock.monotonic)
        self.watch = Watch(self._observe, self.clock.monotonic, self.clock.time, self.log.subject)
        gauges = self.metrics.gauges
        gauges["wws_requests_active"] = ("Requests in progress.", lambda: float(self.application.in_flight))
        gauges["wws_upstream_connections_open"] = ("Upstream connections open.", lambda: float(self.dialer.open_connections))
        gauges["wws_tasks"] = ("Tasks of the event loop.", lambda: float(len(asyncio.all_tasks(loop))))
        if isinstance(store, Near):
            self.metrics.others.append(partial(store_families, store))
        self.metrics.series.update(_route_gauges(lambda: upstreams_of(self.application.env)))
        self.metrics.series.update(self.jobs.series())

    def prepare(self, project: Project, policy: Policy, providers: Mapping[str, Provider]) -> Generation:
        """`project` made ready; `policy` and `providers` are its own, or have demo parts in them."""
        policy = replace(policy, local_share=1 / (project.kv.instances * worker_count(project)))
        services = Services(
            policy, self.store, self.store, self.dialer, CryptographyVerifier(), self.secrets, providers, self.clock,
            self.background, observe=self._observe, places=self._places, measure=self.metrics.measure, degraded=self._degraded,
            resolve=self.dialer.resolve, tunnel=self.dialer.tunnel, forgotten=self._forgotten,
        )  # fmt: skip
        isolates = self._isolates(project)
        functions = Functions(project.functions, isolates)
        services.functions = functions.by_name
        services.assets = Assets(project.public) if project.public.assets else None
        env = Env(services, {**_bindings(project, self.store), **self.jobs.bindings(project)})
        if isolates is not None:
            isolates.bind(env)
        return Generation(project, Gateway(env), env, functions)

    def _isolates(self, project: Project) -> Isolates | None:
        """Who runs the functions of `project` that are to run apart, if any are."""
        if not any(found.settings.get("isolate") for found in project.functions.functions.values()):
            return None
        limits = project.limits
        return Isolates(project.functions, limits.isolates, limits.isolate_queue, self.clock, self.metrics.measure)

    def _degraded(self) -> tuple[str, ...]:
        """What works differently just now."""
        return self.store.guard.degraded if isinstance(self.store, Near) else ()

    def switch(self, generation: Generation) -> None:
        """`generation` answers from now on, and knows what the one before knew and is still true."""
        if hasattr(self, "application"):
            project = generation.project
            self.tally.drain()  # what was counted so far was under the version before
            for made in (generation, generation.rolled_out):
                if made is not None:
                    inherit(made.env, self.application.env)
            self._close_idle(generation)
            self._replaced += [self.generation, *([self.generation.rolled_out] if self.generation.rolled_out else [])]
            self.application.use(generation.gateway, generation.env, _canary(generation))
            self.metrics.version = project.policy.version
            self.log.use(project.server.log, project.policy.version)
            self.ledger.use(project.policy.providers)
        else:
            self.application = Application(generation.gateway, generation.env, self.background, secrets.token_hex(5))
            self.application.use(generation.gateway, generation.env, _canary(generation))
        self.generation = generation
        project = generation.project
        self.watchdog.use(project.functions.root, project.limits.block_after, project.limits.block_limit)
        self.jobs.use(project, generation.env)

    def _close_idle(self, next: Generation) -> None:
        """Lets go of the code of generations that were replaced and have answered their last request."""
        self._replaced = [old for old in self._replaced if old.gateway is not next.gateway]
        for old in [old for old in self._replaced if not old.gateway.in_flight]:
            self._replaced.remove(old)
            old.functions.close()

    def close(self) -> None:
        """Ends what is open; the store is whose who opened it."""
        self.watchdog.stop()
        if hasattr(self, "generation"):
            self.generation.functions.close()
        self.dialer.close()
        self.log.flush()


def _canary(generation: Generation) -> Canary | None:
    """The version that is rolled out beside `generation`, with who gets it: each caller always the same."""
    beside, rollout = generation.rolled_out, generation.project.rollout
    if beside is None or rollout is None:
        return None
    version, percent = beside.project.release, rollout.percent

    def picked(request: Request) -> bool:
        return chosen(subject(request.headers.first, request.client), version, percent)

    return Canary(beside.gateway, beside.env, picked)


def worker_count(project: Project) -> int:
    """How many processes serve: `auto` is one for each core that this process may use."""
    workers = project.server.workers
    if workers != "auto":
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _route_gauges(routes: Callable[[], Upstreams]) -> dict[str, Series]:
    """Which routes to AI providers are closed, and how full they are."""

    def of(read: Callable[[Upstream], float | None]) -> Callable[[], list[tuple[tuple[str, ...], float]]]:
        return lambda: [((r.ref.provider, r.ref.model), level) for r in routes() if (level := read(r)) is not None]

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
    bindings = standard(project.policy, project.services)
    bindings.update({name: Namespace(store, name) for name in project.kv_namespaces})
    for name, value in project.vars.items():
        bindings[name] = value.reveal() if isinstance(value, Secret) else value
    return bindings


def ledger_of(project: Project) -> Ledger:
    """The project's ledger."""
    return Ledger(ledger_file(project.store_url, project.home), SystemClock().time, project.policy.providers)
