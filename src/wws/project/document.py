"""Reading a TOML document against the schema: every value in our own form, or a problem that says where and why not.

Nothing is looked up twice and nothing stops at the first problem. A value that is not allowed is left out of the result, so
that what is built from it falls back to the default and reports nothing further; `broken` remembers it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wws.errors import Problem
from wws.project.environment import Environment
from wws.project.locate import Path, dotted, line_of, locate
from wws.project.schema import Key, Node, tree
from wws.project.secret import MASK, Secret

__all__ = ["Absent", "Report", "nearest", "read", "read_table"]

_USERINFO = re.compile(r"://\S*@")
SHOWN = 60
"""Characters of a value that a message repeats."""


class Absent(NamedTuple):
    """A secret whose variable nothing defines."""

    path: Path
    names: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """Problems and warnings of one file. Its lines are located when the first of them is told."""

    file: str
    text: str
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)
    absent: list[Absent] = field(default_factory=list)
    lines: dict[Path, int] | None = None
    """Where each key stands, where `text` is not TOML to find that out from."""

    def line(self, path: Path) -> int | None:
        """The line of `path`, or of what encloses it."""
        if self.lines is None:
            self.lines = locate(self.text)
        return line_of(self.lines, path)

    def problem(self, path: Path, message: str) -> None:
        """The project cannot be used because of what stands at `path`."""
        self.problems.append(Problem(self.file, self.line(path), dotted(path), message))

    def warning(self, path: Path, message: str) -> None:
        """What stands at `path` works, but perhaps not as meant."""
        self.warnings.append(Problem(self.file, self.line(path), dotted(path), message))

    def is_broken(self, path: Path) -> bool:
        """Whether a problem with `path`, or with what encloses it, has been told."""
        return any(path[:end] in self.broken for end in range(1, len(path) + 1))


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "..."?` with the nearest of `known`, or nothing when none is near."""
    import difflib  # only a file with a mistake needs it

    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def read(document: dict[str, Any], environment: Environment, report: Report) -> dict[str, Any]:
    """The document with every value as its kind reads it, in the same nesting."""
    return _Reader(environment, report).table(document, tree(), ())


def read_table(table: dict[str, Any], node: Node, path: Path, environment: Environment, report: Report) -> dict[str, Any]:
    """`read` for a table that stands elsewhere: `node` is its part of the schema, `path` what messages call it."""
    return _Reader(environment, report).table(table, node, path)


class _Reader:
    def __init__(self, environment: Environment, report: Report) -> None:
        self.environment = environment
        self.report = report

    def table(self, table: dict[str, Any], node: Node, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in table.items():
            here = (*path, name)
            child = node.children.get(name) or node.children.get("*")
            if child is None:
                self.unknown(name, node, here)
            elif (read := self.value(value, child, here)) is not None:
                found[name] = read
        self.required(table, node, path)
        return found

    def unknown(self, name: str, node: Node, path: Path) -> None:
        self.report.broken.add(path)
        known = sorted(node.children)
        hint = nearest(name, known) or f"; allowed: {', '.join(known)}"
        self.report.problem(path, f"unknown key{hint}")

    def required(self, table: dict[str, Any], node: Node, path: Path) -> None:
        for name, child in node.children.items():
            if child.key is not None and child.key.required and name not in table:
                self.report.broken.add((*path, name))
                self.report.problem(path, f"`{name}` is missing; allowed: {child.key.kind.allowed}")

    def value(self, value: Any, node: Node, path: Path) -> Any:
        """The value read, None when it cannot be."""
        elements = node.children.get("[]")
        if elements is not None:
            return self.tables(value, elements, path)
        if isinstance(value, dict) and node.children:
            return self.table(value, node, path)
        if node.key is None:
            self.reject(path, f"found {shown(value)}; this is a table: [{dotted(path)}]")
            return None
        return self.leaf(value, node.key, path)

    def tables(self, value: Any, node: Node, path: Path) -> list[dict[str, Any]] | None:
        if not isinstance(value, list):
            self.reject(path, f"found {shown(value)}; this is an array of tables: [[{dotted(path)}]]")
            return None
        found = []
        for index, element in enumerate(value):
            here = (*path, index)
            if isinstance(element, dict):
                found.append(self.table(element, node, here))
            else:
                found.append({})
                self.reject(here, f"found {shown(element)}; allowed: a table")
        return found

    def leaf(self, value: Any, key: Key, path: Path) -> Any:
        kind = key.kind
        try:
            expanded, names, missing = self.expand(value)
        except ValueError as error:
            self.reject(path, str(error))
            return None
        if missing:
            self.missing(missing, key, path)
            return None
        try:
            result = kind.read(expanded)
        except ValueError as error:
            found = MASK if kind.secret and not names else shown(value)
            origin = f" (the value of {', '.join(names)})" if names else ""
            why = f" ({error})" if kind.secret or not names else ""  # else the reason may repeat what the environment holds
            self.reject(path, f"found {found}{origin}{why}; allowed: {kind.allowed}")
            return None
        if kind.secret and not names:
            self.report.warning(path, 'a secret stands in the file; put it into .dev.vars or the environment and write "${NAME}"')
        return Secret(result) if names and path[0] == "vars" and isinstance(result, str) else result

    def expand(self, value: Any) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
        """The value with references replaced, in lists too; the variables used and those missing."""
        if isinstance(value, str):
            return self.environment.expand(value)
        if not isinstance(value, list):
            return value, (), ()
        parts = [self.expand(element) for element in value]
        names = tuple([name for part in parts for name in part[1]])
        return [part[0] for part in parts], names, tuple([name for part in parts for name in part[2]])

    def missing(self, names: tuple[str, ...], key: Key, path: Path) -> None:
        self.report.broken.add(path)
        if key.kind.secret:
            self.report.absent.append(Absent(path, names))
        else:
            self.report.problem(path, not_set(names))

    def reject(self, path: Path, message: str) -> None:
        self.report.broken.add(path)
        self.report.problem(path, message)


def not_set(names: tuple[str, ...]) -> str:
    """The message for variables that nothing defines."""
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not set in the environment or .dev.vars"


def shown(value: Any) -> str:
    """A value for a message, shortened; never called with a secret that stands in the file."""
    if isinstance(value, dict):
        return "a table"
    text = _USERINFO.sub(f"://{MASK}@", json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
