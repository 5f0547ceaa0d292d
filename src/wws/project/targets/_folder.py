"""The folder that a platform's own tool deploys: what of the package goes into it, and how it is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import wws
from wws.errors import ConfigError, Problem
from wws.project.targets._modules import file_of, needed

__all__ = ["package", "write"]


def package(entries: Iterable[str]) -> dict[str, bytes]:
    """What `entries` need of the package, by its name below the folder that holds it."""
    root = Path(wws.__file__).parent.parent
    found: dict[str, bytes] = {}
    for name in needed(entries, root):
        file = file_of(name, root)
        if file is not None:
            found[file.relative_to(root).as_posix()] = file.read_bytes()
    return found


def write(folder: Path, files: Mapping[str, bytes], mark: str, anew: Iterable[str] = ()) -> None:
    """Writes the files of a build; what an earlier one left below `anew` is removed.

    `mark` is a file that every build of this kind has: a folder that holds something else is left alone. Raises `ConfigError`.
    """
    problem = None
    if folder.exists() and not folder.is_dir():
        problem = "is a file; allowed: a folder"
    elif folder.is_dir() and any(folder.iterdir()) and not (folder / mark).is_file():
        problem = "holds something else; allowed: a new or empty folder, or one of an earlier build"
    if problem is not None:
        raise ConfigError([Problem(str(folder), None, "", problem)])
    try:
        for old in anew:
            _remove(folder / old)
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise ConfigError([Problem(str(folder), None, "", f"cannot be written: {error.strerror}")]) from None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
