"""The functions folder as it is at one moment: every file's text, what each function serves and how it may be called.

Nothing is run. The texts that were read are those that will be run, so a version of a project is whole, whatever is saved
meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from wws.errors import Problem
from wws.project.functions.config import configured
from wws.project.functions.names import MIDDLEWARE, Place, middlewares_of, place
from wws.project.functions.source import EVENTS, Source, is_plain, parse

__all__ = ["Folder", "Found", "folder_of", "scan"]

_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages"})
MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes of one file: what is larger is no source that somebody wrote."""


@dataclass(frozen=True, slots=True)
class Found:
    """One function. `place` None: served only where a route, a service, a cron or a queue names it.

    `settings` is its `config`, read. `middlewares` are names of files around it, outermost first. `problems` are why it, or
    what runs around it, cannot be run: it then answers 500. `plain`: it may run without an asyncio task.
    """

    name: str
    file: Path
    place: Place | None
    handlers: frozenset[str]
    settings: Mapping[str, Any]
    middlewares: tuple[str, ...] = ()
    plain: bool = True
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """All functions by name, and all texts by the path below `root` (`lib/auth.py`).

    `problems` stop a start: nobody can say which of two files is meant. `broken` are the functions' own mistakes.
    """

    root: Path
    functions: Mapping[str, Found] = field(default_factory=dict)
    sources: Mapping[str, bytes] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    broken: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def digest(self) -> str:
        """A hash of every text."""
        whole = hashlib.sha256()
        for path, text in sorted(self.sources.items()):
            whole.update(f"{path}\0{len(text)}\0".encode() + text)
        return whole.hexdigest()


def scan(root: Path) -> Folder:
    """Reads the folder; one that is not there has no functions."""
    sources: dict[str, bytes] = {}
    unread: list[Problem] = []
    for file in _files(root):
        try:
            if file.stat().st_size > MAX_FILE:
                raise OSError(f"larger than {MAX_FILE} bytes")
            sources[file.relative_to(root).as_posix()] = file.read_bytes()
        except OSError as error:
            unread.append(Problem(str(file), None, "", f"cannot be read: {error.strerror or error}"))
    return _Reading(root, sources, unread).folder()


def folder_of(root: Path, sources: dict[str, bytes]) -> Folder:
    """The folder of these texts, as `scan` would have read them at `root`."""
    return _Reading(root, sources, []).folder()


def _files(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _SKIPPED:
            continue
        if entry.is_dir():
            yield from _files(entry)
        elif entry.suffix == ".py":
            yield entry


class _Reading:
    def __init__(self, root: Path, sources: dict[str, bytes], unread: list[Problem]) -> None:
        self.root = root
        self.sources = sources
        self.problems = unread
        self.warnings: list[Problem] = []
        self.parsed = {path.removesuffix(".py"): parse(text, root / path) for path, text in sources.items()}
        self.there = frozenset([name for name in self.parsed if name.rpartition("/")[2] == MIDDLEWARE])

    def folder(self) -> Folder:
        settings: dict[str, Mapping[str, Any]] = {}
        faults: dict[str, tuple[Problem, ...]] = {}
        for name, source in self.parsed.items():
            values, problems = configured(source, self.file(name))
            settings[name], faults[name] = values, (*source.problems, *problems)
            if name in self.there and not source.problems and "fetch" not in source.handlers:
                missing = Problem(str(self.file(name)), None, "", "a middleware has `async def fetch(request, env, ctx)`")
                faults[name] = (*faults[name], missing)
        functions: dict[str, Found] = {}
        for name, source in self.parsed.items():
            if self.is_function(name, source, faults[name]):
                functions[name] = self.found(name, source, settings[name], faults)
        self.clashes(functions)
        broken = tuple([problem for problems in faults.values() for problem in problems])
        return Folder(self.root, functions, self.sources, tuple(self.problems), broken, tuple(self.warnings))

    def file(self, name: str) -> Path:
        return self.root / f"{name}.py"

    def is_function(self, name: str, source: Source, problems: tuple[Problem, ...]) -> bool:
        last = name.rpartition("/")[2]
        if last in (MIDDLEWARE, "__init__"):
            return False
        if source.handlers:
            return True
        if last.startswith("_") or "/_" in f"/{name}":
            return False
        if not problems and not self.is_imported(name):
            told = "has no handler, so nothing is served: write `async def fetch(request, env, ctx)`, or begin its name with _"
            self.warnings.append(Problem(str(self.file(name)), None, "", told))
        return bool(problems)

    def is_imported(self, name: str) -> bool:
        """Whether another file seems to import this one."""
        last = name.rpartition("/")[2]
        dotted = name.replace("/", ".")
        names = {one.lstrip(".") for source in self.parsed.values() for one in source.imports}
        return dotted in names or last in {one.rpartition(".")[2] for one in names}

    def found(self, name: str, source: Source, settings: Mapping[str, Any], faults: Mapping[str, tuple[Problem, ...]]) -> Found:
        served = bool(source.handlers.difference(EVENTS)) or bool(source.problems)
        where: Place | None = None
        try:
            where = place(name) if served else None
        except ValueError as error:
            self.problems.append(Problem(str(self.file(name)), None, "", str(error)))
        around = middlewares_of(name, self.there)
        problems = [problem for part in (*around, name) for problem in faults[part]]
        plain = all(self.plain(part, set()) for part in (*around, name))
        return Found(name, self.file(name), where, source.handlers, settings, around, plain, tuple(problems))

    def plain(self, name: str, seen: set[str]) -> bool:
        """Whether neither a file nor what it imports needs a task."""
        if name in seen:
            return True
        seen.add(name)
        source = self.parsed[name]
        return source.plain and all(self.plain_import(name, one, seen) for one in source.imports)

    def plain_import(self, name: str, imported: str, seen: set[str]) -> bool:
        dots = len(imported) - len(imported.lstrip("."))
        path = imported.lstrip(".").replace(".", "/")
        if not dots and is_plain(imported):
            return True
        base = name.split("/")[:-dots] if dots else []
        inside = "/".join([*base, path]) if path else "/".join(base)
        candidates = [one for one in (inside, f"{inside}/__init__") if one in self.parsed]
        if candidates:
            return all(self.plain(one, seen) for one in candidates)
        # A folder without __init__ holds modules that are named elsewhere in the same import; anything else is from outside.
        below = [one for one in self.parsed if one.startswith(f"{inside}/")]
        return bool(below) and all(self.plain(one, seen) for one in below)

    def clashes(self, functions: dict[str, Found]) -> None:
        """Two files for one path: names of parameters do not tell patterns apart."""
        taken: dict[str, Found] = {}
        for found in functions.values():
            if found.place is None:
                continue
            for pattern in (found.place.pattern, *found.place.aliases):
                shape = "/".join([":" if part.startswith(":") else part for part in pattern.split("/")])
                other = taken.setdefault(shape, found)
                if other is not found:
                    message = f"serves {pattern}, as {other.file.relative_to(self.root)} does: rename one of them"
                    self.problems.append(Problem(str(found.file), None, "", message))
