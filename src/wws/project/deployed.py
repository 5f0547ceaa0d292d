"""The project that is served: that of the gateway's own wws.toml, or a version of it that was deployed.

What is the machine's stays the machine's: `[server]`, `[admin]` and `kv.store` are always those of the gateway's own file. A
version brings the rest, and takes its secrets from where the gateway takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wws.errors import ConfigError, Problem
from wws.project.load import load
from wws.project.releases import LOCAL, ReleaseError, Releases, State
from wws.project.settings import Project, Rollout

__all__ = ["chosen", "served"]


def served(own: Project, environ: Mapping[str, str]) -> Project:
    """What the state on disk says is served. Raises `ConfigError`, also when that state cannot be read."""
    try:
        return chosen(own, Releases(own.home).state(), environ)
    except ReleaseError as error:
        raise ConfigError([Problem(str(own.path), None, "", str(error))]) from None


def chosen(own: Project, state: State, environ: Mapping[str, str]) -> Project:
    """What would be served in a state, with the version that is rolled out beside it. Raises `ConfigError`."""
    project = _version(own, state.active, environ)
    if state.rollout is None:
        return project
    return replace(project, rollout=Rollout(_version(own, state.rollout.version, environ), state.rollout.percent))


def _version(own: Project, version: str, environ: Mapping[str, str]) -> Project:
    if version == LOCAL:
        return own
    project = load(Releases(own.home).config(version), environ=environ, home=own.home)
    return replace(project, server=own.server, admin=own.admin, store_url=own.store_url, release=version)
