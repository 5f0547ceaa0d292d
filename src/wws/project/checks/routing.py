"""Checks of routes, the origins and functions they name, and the names functions see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wws.project.build import FUNCTION, destination
from wws.project.checks.subject import Subject
from wws.project.checks.upstreams import no_alias
from wws.project.document import nearest
from wws.project.kinds import shape

__all__ = ["bindings", "origins", "routes"]

RESERVED = frozenset({"ai", "cache", "fetch", "wws"})
"""Names of `env` that are the gateway's own."""


def routes(subject: Subject) -> None:
    taken: dict[tuple[str, str | None], int] = {}
    aliases = subject.names("models") if "models" in subject.document else subject.policy.models
    for index, route in subject.rows("routes"):
        if "path" in route:
            _place(subject, index, route, taken)
        if "to" in route:
            _destination(subject, index, route["to"])
            _conditions(subject, index, route)
        for at, alias in enumerate(route.get("models", ())):
            if alias not in aliases:
                subject.report.problem(("routes", index, "models", at), no_alias(alias, aliases))


def _place(subject: Subject, index: int, route: Mapping[str, Any], taken: dict[tuple[str, str | None], int]) -> None:
    """No two routes take the same requests: names of `:name` segments do not tell patterns apart."""
    for method in route.get("methods") or (None,):
        other = taken.setdefault((shape(route["path"]), method), index)
        if other != index:
            which = "" if method is None else f" {method}"
            message = f'found "{route["path"]}", where route {other + 1} of the file takes{which or " every request"} already'
            subject.report.problem(("routes", index, "path"), message)


def _destination(subject: Subject, index: int, to: str) -> None:
    path = ("routes", index, "to")
    kind, target = destination(to)
    named = subject.names("origins")
    if kind == "function" and target is not None:
        _function(subject, path, target, FUNCTION)
    elif to == "origin" and "origin" not in subject.document and len(named) != 1:
        several = f"there are several: name one of {', '.join(named)}" if named else "there is no [origin]: write its `url`"
        subject.report.problem(path, f'found "origin", but {several}')
    elif kind == "origin" and target is not None and target not in named:
        known = ["ai", "origin", "static", *named]
        subject.report.problem(path, f'found "{to}"{nearest(to, known)}; allowed: {", ".join(known)}, {FUNCTION}NAME')


def _function(subject: Subject, path: tuple[str | int, ...], name: str, prefix: str = "") -> None:
    functions = subject.functions
    found = functions.functions.get(name)
    if found is None:
        hint = nearest(name, functions.functions)
        there = (
            f"has no handler in {functions.root.name}/{name}.py"
            if f"{name}.py" in functions.sources
            else f"there is no {functions.root.name}/{name}.py"
        )
        subject.report.problem(path, f'found "{prefix}{name}", but {there}{hint}')


def _conditions(subject: Subject, index: int, route: Mapping[str, Any]) -> None:
    """Keys that would be without effect beside the route's others."""
    path = ("routes", index)
    if route["to"] != "ai" and "models" in route:
        subject.report.problem((*path, "models"), 'only a route to "ai" has models')
    if route.get("auth") != "none":
        return
    for name in ("scopes", "fresh_auth"):
        if route.get(name):
            subject.report.problem((*path, name), 'nobody is asked who they are where auth = "none"')
    if route["to"] == "ai":
        subject.report.warning((*path, "auth"), "anyone may spend what the providers cost: only the limits of the address hold")


def origins(subject: Subject) -> None:
    if "default" in subject.names("origins") and "origin" in subject.document:
        subject.report.problem(("origins", "default"), "[origin] is the one named default already")
    served = subject.functions.functions or any(route.to == "static" for route in subject.policy.routes)
    if (
        "routes" not in subject.document
        and not subject.policy.origins
        and not served
        and not subject.report.is_broken(("origin", "url"))
    ):
        subject.report.warning(("origin",), "no origin is configured: only the AI routes are served")


def bindings(subject: Subject) -> None:
    """Names that functions see in `env`, each once."""
    taken: dict[str, str] = {}
    for index, namespace in subject.rows("kv_namespaces"):
        if "binding" in namespace:
            _binding(subject, ("kv_namespaces", index, "binding"), namespace["binding"], taken)
    for index, queue in subject.rows("queues"):
        if "binding" in queue:
            _binding(subject, ("queues", index, "binding"), queue["binding"], taken)
    for index, service in subject.rows("services"):
        if "binding" in service:
            _binding(subject, ("services", index, "binding"), service["binding"], taken)
        if "function" in service:
            _function(subject, ("services", index, "function"), service["function"])
    for name in subject.names("vars"):
        _binding(subject, ("vars", name), name, taken)


def _binding(subject: Subject, path: tuple[str | int, ...], name: str, taken: dict[str, str]) -> None:
    where = str(path[0])
    if name in RESERVED:
        subject.report.problem(path, f'"{name}" is the gateway\'s own name in env; allowed: another')
    elif not name.isidentifier() or name.startswith("_"):
        subject.report.problem(path, f'"{name}" is not a Python name: env.NAME is how code reads it')
    elif name in taken:
        subject.report.problem(path, f'"{name}" is a binding already, in [{taken[name]}]')
    taken.setdefault(name, where)
