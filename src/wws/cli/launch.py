"""Starting the gateway: what `wws serve` and `wws dev` share. Imports nothing that is slow to import."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from wws.errors import Problem
from wws.project.address import Address
from wws.project.deployed import served
from wws.project.load import load, loads
from wws.project.settings import Project

__all__ = ["DEFAULT_FILE", "VARIABLE", "Start", "launch", "locate_file", "plain", "project_of"]

DEFAULT_FILE = "wws.toml"
VARIABLE = "WWS_CONFIG"


class Start(NamedTuple):
    """What to start. `config` is the file that was named, None for the default one; `listen` stands for `server.listen`."""

    command: str
    config: str | None = None
    demo: bool = False
    listen: Address | None = None


def plain(arguments: Sequence[str]) -> Start | None:
    """`serve` or `dev` with nothing but `--config` and `--demo`; None for all else, which the command-line library answers."""
    if not arguments or arguments[0] not in ("serve", "dev"):
        return None
    config, demo = None, False
    rest = list(arguments[1:])
    while rest:
        word = rest.pop(0)
        name, equals, text = word.partition("=")
        if word == "--demo":
            demo = True
        elif name == "--config" and (equals or rest):
            config = text if equals else rest.pop(0)
        else:
            return None
    return Start(arguments[0], config, demo)


def locate_file(config: str | Path | None, environ: Mapping[str, str]) -> tuple[Path, bool]:
    """The file to load, and whether someone named it."""
    named = config or environ.get(VARIABLE)
    return Path(named or DEFAULT_FILE), bool(named)


def project_of(start: Start, environ: Mapping[str, str]) -> Project:
    """The project to start. Raises `ConfigError`.

    `serve` needs a file with every secret in place. `dev` does without either: what a missing secret would serve, the demo
    parts do. `--demo` leaves `dev` with nothing but demo parts, whatever is configured, and lets `serve` use them where needed.
    """
    project = _project(start, environ)
    if start.listen is None:
        return project
    return replace(project, server=replace(project.server, listen=start.listen))


def _project(start: Start, environ: Mapping[str, str]) -> Project:
    path, named = locate_file(start.config, environ)
    dev = start.command == "dev"
    if dev and start.demo:
        return replace(loads("", path, environ={}, allow_missing=True), warnings=[])  # that nothing is configured was asked for
    if dev and not named and not path.exists():
        told = Problem(str(path), None, "", "there is no such file: the defaults are served; `wws init` writes one to start from")
        return replace(loads("", path, environ=environ, allow_missing=True), warnings=[told])
    project = load(path, environ=environ, allow_missing=dev or start.demo)
    return project if dev else served(project, environ)


def launch(start: Start) -> int:
    """Serves until told to stop; the status to end with. Raises `WwsError` when it cannot start."""
    project = project_of(start, os.environ)
    for warning in project.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    for problem in project.functions.broken:
        sys.stderr.write(f"error: {problem} (what it serves answers 500)\n")
    from wws.hosts.server.main import serve

    def load() -> Project:
        return project_of(start, os.environ)

    dev = start.command == "dev"
    if dev and not start.demo and project.policy.routes:
        _tell_routes(project)
    return serve(project, demo=start.demo or dev, load=load, dev=dev and not start.demo)


def _tell_routes(project: Project) -> None:
    """What is served where, for who works on it."""
    rows = [
        (path, route.to if route.target is None else f"{route.to}:{route.target}", f"auth {route.auth}")
        for route in project.policy.routes
        for path in (route.path, *route.aliases)
    ]
    width = [max(len(row[column]) for row in rows) for column in range(2)]
    for path, to, auth in rows:
        sys.stderr.write(f"  {path:{width[0]}}  {to:{width[1]}}  {auth}\n")
