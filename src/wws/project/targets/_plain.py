"""A project as the bundle of an edge host: the checked configuration without its secrets, and where those belong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wws.core.policy import Policy
from wws.errors import ConfigError, Problem
from wws.hosts.edge.bundle import Bundle, Tick
from wws.project.exposed import exposed
from wws.project.load import examine
from wws.project.locate import Path as Place
from wws.project.locate import dotted, line_of, locate
from wws.project.secret import Secret
from wws.project.settings import Project
from wws.project.targets._functions import shipped

__all__ = ["Edge", "edge_project"]

_REFERENCE = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}", re.ASCII)
_STAND_IN = "set-on-the-platform"
"""Stands for every secret while the file is checked: none is read, so none can be shipped."""


class Edge:
    """A project that is to run at the edge: `project` with stand-ins for its secrets, `document` as tomllib read it, and what a
    target finds wrong with it, by place."""

    __slots__ = ("_lines", "document", "problems", "project", "secrets")

    def __init__(self, project: Project, document: dict[str, Any], secrets: dict[str, str], text: str) -> None:
        self.project = project
        self.document = document
        self.secrets = secrets
        self.problems: list[Problem] = []
        self._lines = locate(text)

    def refuse(self, place: Place, message: str) -> None:
        """What stands at `place` cannot be had on this target."""
        self.problems.append(Problem(str(self.project.path), line_of(self._lines, place), dotted(place), message))

    def check(self) -> None:
        """Raises `ConfigError` with everything that was refused."""
        if self.problems:
            raise ConfigError(self.problems)

    def bundle(self) -> Bundle:
        """What is shipped."""
        project = self.project
        variables = {name: value for name, value in project.vars.items() if not isinstance(value, Secret)}
        functions = shipped(project.functions)
        return Bundle(
            _without_secrets(project.policy), project.kv_namespaces, variables, project.server.log, self.secrets, functions,
            project.services, tuple([Tick(one.cron, one.function) for one in project.crons]),
        )  # fmt: skip


def edge_project(path: Path, environ: Mapping[str, str], refusals: Mapping[str, str] | None = None) -> Edge:
    """The project of the file `path`, checked as any other, and for secrets that stand in it. Raises `ConfigError`.

    `refusals` are stores that the target has a word of its own about: the beginning of the address, and the word.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = tomllib.loads(text)
    except (OSError, ValueError):
        document, text = {}, ""  # examine has the words for it
    secrets = dict(_secrets(document))
    found = examine(path, environ=_stand_ins(secrets, environ))
    store = str(_table(document, "kv").get("store", ""))
    word = next((word for scheme, word in (refusals or {}).items() if store.startswith(scheme)), None)
    problems = [problem for problem in found.problems if word is None or problem.key != "kv.store"]
    if found.project is None and (problems or word is None):
        raise ConfigError(problems)
    if found.project is None:
        raise ConfigError([Problem(str(path), line_of(locate(text), ("kv", "store")), "kv.store", f'found "{store}": {word}')])
    edge = Edge(found.project, document, {dotted(place): written for place, written in secrets.items()}, text)
    edge.problems += exposed(text, str(path))
    if word is not None:
        edge.refuse(("kv", "store"), f'found "{store}": {word}')
    return edge


def _stand_ins(secrets: Mapping[Place, str], environ: Mapping[str, str]) -> dict[str, str]:
    names = {name for written in secrets.values() for name in _REFERENCE.findall(written)}
    return {**environ, **dict.fromkeys(names, _STAND_IN)}


def _secrets(document: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """The places of secrets, and what is written there."""
    auth = _table(document, "auth")
    if isinstance(key := auth.get("supabase_key"), str):
        yield ("auth", "supabase_key"), key
    for name, provider in _table(document, "providers").items():
        if isinstance(provider, dict) and isinstance(key := provider.get("api_key"), str):
            yield ("providers", name, "api_key"), key
    for name, value in _table(document, "vars").items():
        if isinstance(value, str) and _REFERENCE.search(value):
            yield ("vars", name), value


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _without_secrets(policy: Policy) -> Policy:
    providers = {name: replace(config, api_key=None) for name, config in policy.providers.items()}
    return replace(policy, providers=providers, auth=replace(policy.auth, supabase_key=None))
