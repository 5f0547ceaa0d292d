"""Which files of the package an edge host needs: those that its entry module imports, and what those import."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["needed"]

PACKAGE = "wws"
_NOT_AT_THE_EDGE = frozenset({"wws._json", "wws.codec_native"})
"""Imported only where there is a C compiler, and msgspec."""


def needed(entries: Iterable[str], root: Path) -> list[str]:
    """The modules of the package below `root` that `entries` import, themselves and every package above included, sorted.

    What only a type checker imports is left out. Raises `ValueError` for an entry that is no module.
    """
    found: set[str] = set()
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name in found or name in _NOT_AT_THE_EDGE:
            continue
        file = file_of(name, root)
        if file is None:
            raise ValueError(f"there is no module {name} below {root}")
        found.add(name)
        waiting += [parent for parent in parents(name) if parent not in found]
        waiting += imported(ast.parse(file.read_bytes()), root)
    return sorted(found)


def file_of(name: str, root: Path) -> Path | None:
    """The file of a module, None when there is none."""
    base = root.joinpath(*name.split("."))
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.is_file():
            return file
    return None


def parents(name: str) -> Iterator[str]:
    """The packages a module lies in, the nearest first."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def imported(tree: ast.AST, root: Path) -> Iterator[str]:
    """The package's modules that a module imports when it runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            yield from imported(ast.Module(node.orelse, []), root)
        elif isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names if _ours(alias.name)]
        elif isinstance(node, ast.ImportFrom) and node.module is not None and _ours(node.module):
            yield node.module
            for alias in node.names:
                if file_of(inner := f"{node.module}.{alias.name}", root) is not None:
                    yield inner
        else:
            yield from imported(node, root)


def _ours(name: str) -> bool:
    return name == PACKAGE or name.startswith(PACKAGE + ".")


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
