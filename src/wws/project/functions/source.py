"""What a function's file says without being run: its handlers, its `config`, and what it imports. Read from the syntax tree."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, Final, NamedTuple

from wws.errors import Problem

__all__ = ["EVENTS", "METHODS", "Source", "parse"]

METHODS: Final = {name.lower(): name for name in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")}
EVENTS: Final = ("scheduled", "queue")
_CONFIG: Final = "config"
_HANDLERS: Final = frozenset({"fetch", *METHODS, *EVENTS})
# Modules that never look for the current task of the event loop. A function that imports nothing else may run without one.
_PLAIN: Final = frozenset({
    "__future__", "abc", "base64", "binascii", "bisect", "calendar", "collections", "colorsys", "copy", "csv", "dataclasses",
    "datetime", "decimal", "difflib", "email", "enum", "fractions", "functools", "gzip", "hashlib", "heapq", "hmac", "html",
    "io", "ipaddress", "itertools", "json", "logging", "math", "mimetypes", "numbers", "operator", "os", "pathlib", "random",
    "re", "secrets", "statistics", "string", "struct", "sys", "textwrap", "time", "tomllib", "types", "typing", "unicodedata",
    "urllib", "uuid", "wws", "xml", "zlib", "zoneinfo",
})  # fmt: skip


class Source(NamedTuple):
    """One file. `config` are the values written in it, `lines` where they stand: ("config", "auth") -> 3.

    `plain`: nothing that it imports, of those outside the folder, needs an asyncio task around it. `imports` are the names of
    all modules that may be the folder's own. `problem` is why the file cannot be used at all.
    """

    handlers: frozenset[str] = frozenset()
    config: dict[str, Any] = {}
    lines: dict[tuple[str | int, ...], int] = {}
    plain: bool = True
    imports: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()


def parse(text: bytes, file: Path) -> Source:
    """What `text` says; mistakes are in its `problems`."""
    try:
        tree = ast.parse(text, str(file))
    except SyntaxError as error:
        return _broken(file, error.lineno, f"syntax error: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return _broken(file, None, f"this is no Python that can be read: {str(error) or type(error).__name__}")
    found = _Found(file)
    for node in tree.body:
        found.statement(node)
    plain, imports = _imports(tree, text)
    return Source(frozenset(found.handlers), found.config, found.lines, plain, imports, tuple(found.problems))


def _broken(file: Path, line: int | None, message: str) -> Source:
    return Source(problems=(Problem(str(file), line, "", message),))


class _Found:
    """What the statements at the top of a file define."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.handlers: set[str] = set()
        self.config: dict[str, Any] = {}
        self.lines: dict[tuple[str | int, ...], int] = {}
        self.problems: list[Problem] = []

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.AsyncFunctionDef):
            self.named(node.name)
        elif isinstance(node, ast.FunctionDef):
            if node.name == "fetch" or node.name in EVENTS:
                self.problem(node.lineno, node.name, f"write `async def {node.name}`: handlers are awaited")
        elif isinstance(node, ast.ImportFrom | ast.Import):
            for alias in node.names:
                self.named(alias.asname or alias.name)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self.assigned(target.id, node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            self.assigned(node.target.id, node.value)

    def named(self, name: str) -> None:
        if name in _HANDLERS:
            self.handlers.add(name)

    def assigned(self, name: str, value: ast.expr) -> None:
        if name == _CONFIG:
            self.policy(value)
        else:
            self.named(name)

    def policy(self, value: ast.expr) -> None:
        """`config = {...}`: a literal, so that it can be read without running the file."""
        if not isinstance(value, ast.Dict):
            self.problem(value.lineno, _CONFIG, 'write a literal: config = {"auth": "required", "limit": "30/min"}')
            return
        self.lines[(_CONFIG,)] = value.lineno
        self.config = self.table(value, (_CONFIG,))

    def table(self, table: ast.Dict, path: tuple[str | int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in zip(table.keys, table.values, strict=True):
            name = key.value if isinstance(key, ast.Constant) else None
            if not isinstance(name, str):
                self.problem(value.lineno, ".".join(map(str, path)), "a key is written as a text in quotes")
                continue
            here = (*path, name)
            self.lines[here] = value.lineno
            if isinstance(value, ast.Dict):
                values[name] = self.table(value, here)
                continue
            try:
                found = ast.literal_eval(value)
            except (ValueError, TypeError, MemoryError, RecursionError):
                written = "write a literal: config is read without running the file"
                self.problem(value.lineno, ".".join(map(str, here)), written)
                continue
            values[name] = list(found) if isinstance(found, tuple | set) else found
        return values

    def problem(self, line: int, key: str, message: str) -> None:
        self.problems.append(Problem(str(self.file), line, key, message))


def _imports(tree: ast.Module, text: bytes) -> tuple[bool, frozenset[str]]:
    """Whether everything imported from outside is plain, and the modules that may be inside, dotted; relative ones keep dots."""
    plain = True
    names: set[str] = set()
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    # Where the word stands nowhere else, there is no need to walk the whole tree, which is most of what reading a file costs.
    for node in top if len(top) == text.count(b"import") else ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update([alias.name for alias in node.names])
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names.update([base] if node.module else [base + alias.name for alias in node.names])
        elif isinstance(node, ast.Name) and node.id == "__import__":
            plain = False
    return plain, frozenset(names)


def is_plain(name: str) -> bool:
    """Whether a module from outside the folder can do without a task."""
    return name.partition(".")[0] in _PLAIN
