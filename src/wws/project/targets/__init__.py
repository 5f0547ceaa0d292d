"""Where a project can be built for. Each module here is one target, named like it with `_` for `-`, with one function:

    def build(project: Project, out: Path | None) -> Built

and, where it reads wws.toml with other eyes than the self-hosted gateway, `load(path, environ) -> Project`. A platform with a
tool of its own has `deploy(project, built, dry_run) -> int` and `dev(project, environ) -> int`, which call it: its exit status.
`build` makes what is deployed there from a project that was loaded without a fault, at `out` or in the project's `.wws`, and
raises `WwsError` when the project cannot run there. Secrets are never part of what it makes: `${NAME}` stays as it is written.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from wws.project.settings import Project

__all__ = ["DEFAULT", "Built", "builder", "deployer", "loader", "runner", "targets"]

DEFAULT = "self-hosted"


class Built(NamedTuple):
    """What was made: where, under which version, of how many files and bytes. `notes` say what to do next, a line each."""

    path: Path
    version: str
    files: int
    size: int
    notes: tuple[str, ...] = ()


def targets() -> tuple[str, ...]:
    """The names of the targets, the default one first."""
    names = [module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    return tuple(sorted(names, key=lambda name: (name != DEFAULT, name)))


def builder(target: str) -> Callable[[Project, Path | None], Built]:
    """The `build` of a target that `targets` names."""
    build: Callable[[Project, Path | None], Built] = _module(target).build
    return build


def _module(target: str) -> Any:
    return import_module(f"{__name__}.{target.replace('-', '_')}")


def deployer(target: str) -> Callable[[Project, Built, bool], int] | None:
    """What sends a built project to its platform, None where that has no tool."""
    deploy: Callable[[Project, Built, bool], int] | None = getattr(_module(target), "deploy", None)
    return deploy


def runner(target: str) -> Callable[[Project, Mapping[str, str]], int] | None:
    """What serves a project in its platform's runtime on this machine, None where there is no such."""
    dev: Callable[[Project, Mapping[str, str]], int] | None = getattr(_module(target), "dev", None)
    return dev


def loader(target: str) -> Callable[[Path, Mapping[str, str]], Project]:
    """How a target reads wws.toml. Secrets may be missing: they are where it will run. Raises `ConfigError`."""
    load: Callable[[Path, Mapping[str, str]], Project] = getattr(_module(target), "load", _load)
    return load


def _load(path: Path, environ: Mapping[str, str]) -> Project:
    from wws.project.load import load

    return load(path, environ=environ, allow_missing=True)
