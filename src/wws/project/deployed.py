"""The project that is served: that of the gateway's own wws.toml, or a version of it that was deployed.

What is the machine's stays the machine's: `[server]`, `[admin]` and `kv.store` are always those of the gateway's own file. A
version brings the rest, and takes its secrets from where the gateway takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from wws.errors import ConfigError, Problem
from wws.project.load import load
from wws.project.releases import LOCAL, ReleaseError, Releases
from wws.project.settings import Project

__all__ = ["Served", "load_version", "served"]


class Served(NamedTuple):
    """What answers: `project`, and `percent` of the callers get `canary` where a version is being rolled out."""

    project: Project
    version: str = LOCAL
    canary: Project | None = None
    canary_version: str = ""
    percent: float = 0.0


def load_version(own: Project, version: str, environ: Mapping[str, str]) -> Project:
    """A version of the project as it would be served here; `own` itself for `local`. Raises `ConfigError`."""
    if version == LOCAL:
        return own
    project = load(Releases(own.home).config(version), environ=environ, home=own.home)
    return replace(project, server=own.server, admin=own.admin, store_url=own.store_url)


def served(own: Project, environ: Mapping[str, str]) -> Served:
    """What the state on disk says is served. Raises `ConfigError`, also when that state cannot be read."""
    try:
        state = Releases(own.home).state()
    except ReleaseError as error:
        raise ConfigError([Problem(str(own.path), None, "", str(error))]) from None
    found = Served(load_version(own, state.active, environ), state.active)
    if state.rollout is None:
        return found
    version, percent = state.rollout
    return found._replace(canary=load_version(own, version, environ), canary_version=version, percent=percent)
