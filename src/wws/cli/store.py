"""The project's store for a command, opened beside a gateway that may be running."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wws.bindings import Endpoint, Env, Secrets, Services
from wws.cli.launch import locate_file
from wws.core.policy import Policy, Timeouts
from wws.errors import ConfigError, ConnectFailed, Problem
from wws.http import Body, Pair, Response
from wws.project.load import load
from wws.project.pepper import VARIABLE, pepper
from wws.project.settings import Project
from wws.stores import JobStore, open_jobs, open_store
from wws.stores.memory import MemoryStore

__all__ = ["opened", "opened_jobs", "unstored"]


class Offline:
    """Ports of a command that works on the store alone."""

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: list[Pair],
        body: bytes | Body,
        timeouts: Timeouts,
        deadline: float | None = None,
    ) -> Response:
        raise ConnectFailed("a command that works on the store calls nobody")

    async def verify(self, algorithm: str, jwk: object, signed: bytes, signature: bytes) -> bool:
        return False


@contextmanager
def opened(config: Path | None) -> Iterator[Env]:
    """The project's policy and store as an `env`, to be entered outside of an event loop. Raises `ConfigError`, `StoreError`."""
    project = _shared(config)
    secrets = Secrets(pepper(project.store_url, project.home, os.environ))
    store = open_store(project.store_url, project.home)
    offline = Offline()
    try:
        yield Env(Services(project.policy, store, store, offline, offline, secrets))
    finally:
        store.close()


def unstored() -> Env:
    """An `env` whose store is this process's memory: what is written there is to be put somewhere else. Raises `ConfigError`."""
    given = os.environ.get(VARIABLE)
    if not given:
        words = "not set: the same one that was set on the platform, with: wrangler secret put WWS_PEPPER"
        raise ConfigError([Problem(VARIABLE, None, "", words)])
    store, offline = MemoryStore(), Offline()
    return Env(Services(Policy(), store, store, offline, offline, Secrets(pepper("memory:", Path(), os.environ))))


@contextmanager
def opened_jobs(config: Path | None) -> Iterator[tuple[Project, JobStore]]:
    """The project with its queues, to be entered outside of an event loop. Raises `ConfigError`, `StoreError`."""
    project = _shared(config)
    jobs = open_jobs(project.store_url, project.home)
    try:
        yield project, jobs
    finally:
        jobs.close()


def _shared(config: Path | None) -> Project:
    """The project, whose store is one that a running gateway shares."""
    path, _ = locate_file(config, os.environ)
    project = load(path, environ=os.environ, allow_missing=True)
    if project.store_url == "memory:":
        problem = Problem(
            str(path), None, "kv.store", 'found "memory:", which no other process sees; allowed: "lmdb:FOLDER", "redis://HOST"'
        )
        raise ConfigError([problem])
    return project
