"""Secrets that stand in wws.toml in the clear, where `${NAME}` should: such a file must not leave the machine."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from wws.errors import Problem
from wws.project.locate import Path, dotted, line_of, locate
from wws.project.schema import Node, tree

__all__ = ["exposed"]

_REFERENCE = re.compile(r"(?<!\$)\$\{[A-Za-z_][A-Za-z0-9_]*\}", re.ASCII)
_PUBLIC = "sb_publishable_"
"""How a key of Supabase begins that is made to be seen (supabase.com/docs/guides/api/api-keys)."""
_PASSWORD = re.compile(r"://[^/@\s]*:([^/@\s]+)@")


def exposed(text: str, file: str) -> list[Problem]:
    """A problem for each secret written out in the wws.toml `text`, which is valid. The secrets are not repeated."""
    lines = locate(text)
    return [
        Problem(
            file,
            line_of(lines, path),
            dotted(path),
            f"a {what} stands here in the clear; allowed: ${{NAME}} from the environment",
        )
        for path, what in _found(tomllib.loads(text), tree(), ())
    ]


def _found(value: Any, node: Node | None, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for name, below in value.items():
            child = None if node is None else node.children.get(name) or node.children.get("*")
            yield from _found(below, child, (*path, name))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _found(below, None if node is None else node.children.get("[]"), (*path, index))
    elif isinstance(value, str) and node is not None and node.key is not None:
        if node.key.kind.secret and not _REFERENCE.search(value) and not value.startswith(_PUBLIC):
            yield path, "secret"
        elif (password := _PASSWORD.search(value)) and not _REFERENCE.search(password[1]):
            yield path, "password"
