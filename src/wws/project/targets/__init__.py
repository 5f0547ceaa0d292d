"""Where a project can be built for. Each module here is one target, named like it with `_` for `-`, with one function:

    def build(project: Project, out: Path | None) -> Built

It makes what is deployed there from a project that was loaded without a fault, at `out` or in the project's `.wws`, and raises
`WwsError` when the project cannot run there. Secrets are never part of what it makes: `${NAME}` stays as it is written.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from wws.project.settings import Project

__all__ = ["DEFAULT", "Built", "builder", "targets"]

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
    build: Callable[[Project, Path | None], Built] = import_module(f"{__name__}.{target.replace('-', '_')}").build
    return build
