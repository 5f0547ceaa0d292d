"""A function's `config`: the keys of a route that say how it may be called, by the same rules as in wws.toml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wws.errors import Problem
from wws.project.document import Report, read_table
from wws.project.environment import Environment
from wws.project.functions.source import Source
from wws.project.schema import FUNCTION_KEYS, Node, tree

__all__ = ["ROUTE_KEYS", "configured"]

ROUTE_KEYS: Final = ("auth", "cache", "fresh_auth", "limit", "methods", "scopes", "timeout")
"""Keys of `[[routes]]` that a function may say itself."""
_NOTHING: Final = Environment({})


def _node() -> Node:
    node = Node()
    for key in FUNCTION_KEYS:
        node.children[key.path] = leaf = Node()
        leaf.key = key
    for name in ROUTE_KEYS:
        node.children[name] = tree().children["routes"].children["[]"].children[name]
    return node


def configured(source: Source, file: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The values of a `config` in our own form, and what is wrong with it. A key of a wrong value is left out."""
    if not source.config:
        return {}, []
    report = Report(str(file), "", lines=source.lines)
    values = read_table(source.config, _node(), ("config",), _NOTHING, report)
    _sense(values, report)
    return values, report.problems


def _sense(values: Mapping[str, Any], report: Report) -> None:
    if values.get("auth") == "none":
        for name in ("scopes", "fresh_auth"):
            if values.get(name):
                report.problem(("config", name), 'nobody is asked who they are where auth = "none"')
