"""The files that make up a project: wws.toml, and everything below `functions/` and `public/`.

Hidden files (`.dev.vars`, `.env`, `.git`) and what Python leaves behind are no part of it: a name that begins with a dot never
leaves the machine.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from wws.errors import ConfigError, Problem

__all__ = ["CONFIG", "FOLDERS", "acceptable", "project_files"]

CONFIG = "wws.toml"
FOLDERS = ("functions", "public")
_LEFT_OUT = frozenset({"__pycache__", "node_modules"})
_BAD = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
_LONGEST = 1024  # bytes of a path: under the 4,096 of Linux' PATH_MAX with any folder before it


def acceptable(name: str) -> bool:
    """Whether `name` can be a project's file: a relative path of plain segments, none hidden, in one of the project's folders."""
    if name == CONFIG:
        return True
    parts = name.split("/")
    if len(parts) < 2 or parts[0] not in FOLDERS or len(name.encode("utf-8", "replace")) > _LONGEST or _BAD.search(name):
        return False
    return all(part and not part.startswith(".") and part not in _LEFT_OUT and part == part.strip() for part in parts)


def project_files(config: Path) -> dict[str, Path]:
    """The project's files by their names in it, in order. `config` is its wws.toml, whatever that is called.

    Raises `ConfigError` for what cannot be taken along: a link, which may lead anywhere, or a name other systems do not have.
    """
    found: dict[str, Path] = {CONFIG: config}
    problems: list[Problem] = []
    for folder in FOLDERS:
        for path in _walk(config.parent / folder, problems):
            name = path.relative_to(config.parent).as_posix()
            if path.is_symlink():
                problems.append(
                    Problem(str(path), None, "", "a link, which may lead out of the project; allowed: the file itself")
                )
            elif not acceptable(name):
                problems.append(
                    Problem(str(path), None, "", "a name that not every system has; allowed: letters, digits and -_.[]()@+")
                )
            else:
                found[name] = path
    if problems:
        raise ConfigError(problems)
    return dict(sorted(found.items()))


def _walk(top: Path, problems: list[Problem]) -> list[Path]:
    paths: list[Path] = []

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            problems.append(Problem(str(error.filename), None, "", f"cannot be read: {error.strerror}"))

    for folder, below, names in os.walk(top, onerror=failed):
        links = [name for name in below if (Path(folder) / name).is_symlink()]
        below[:] = [name for name in below if _wanted(name) and name not in links]
        paths += [Path(folder) / name for name in (*links, *names) if _wanted(name)]
    return paths


def _wanted(name: str) -> bool:
    return not name.startswith(".") and name not in _LEFT_OUT and not name.endswith((".pyc", ".pyo"))
