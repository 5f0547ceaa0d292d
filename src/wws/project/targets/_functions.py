"""The functions folder as modules that an edge host imports, and what it has to know of each."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from wws.errors import ConfigError
from wws.hosts.edge.functions import Shipped
from wws.project.functions.folder import Folder, Found

__all__ = ["FOLDER", "shipped", "sources"]

FOLDER = "functions"
"""Where they lie in what is built; the host finds modules there after its own."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")


def sources(folder: Folder) -> dict[str, bytes]:
    """Each file's text by its path below FOLDER. A name that Python could not import is written with `_`: `api/[id].py`."""
    return {_path(path): text for path, text in folder.sources.items()}


def shipped(folder: Folder) -> dict[str, Shipped]:
    """The functions by name. Raises `ConfigError` for those that are broken: they would be so on every request."""
    if folder.broken:
        raise ConfigError(list(folder.broken))
    return {name: _shipped(found) for name, found in sorted(folder.functions.items())}


def _shipped(found: Found) -> Shipped:
    rest, depth = (None if found.place is None else found.place.rest) or ("", 0)
    plain = {name: value for name, value in found.settings.items() if isinstance(value, str | int | float)}
    return Shipped(_module(found.name), tuple(sorted(found.handlers)), tuple(map(_module, found.middlewares)), rest, depth, plain)


def _path(path: str) -> str:
    pure = PurePosixPath(path)
    return (pure.parent / f"{_NOT_IN_NAMES.sub('_', pure.stem)}.py").as_posix()


def _module(name: str) -> str:
    """The dotted name of a function's file."""
    return _path(f"{name}.py").removesuffix(".py").replace("/", ".")
