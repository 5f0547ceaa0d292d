"""`${NAME}` in a value: the process environment first, then the secrets of `wws secrets`, then `.dev.vars` beside wws.toml.

`.dev.vars` holds `NAME=value` lines like wrangler's file of that name (developers.cloudflare.com/workers/configuration/secrets):
`#` starts a comment, a value may stand in single quotes (taken as it is) or double quotes (`\\n`, `\\t`, `\\"`, `\\\\`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from wws.errors import ConfigError, Problem
from wws.project.vault import read_secrets

__all__ = ["DEV_VARS", "Environment", "Expansion", "parse_dev_vars", "read_environment"]

DEV_VARS = ".dev.vars"

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{", re.ASCII)
_LINE = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)", re.ASCII)
_SINGLE = re.compile(r"'([^']*)'[ \t]*(?:#.*)?")
_DOUBLE = re.compile(r'"((?:\\.|[^"\\])*)"[ \t]*(?:#.*)?')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


class Expansion(NamedTuple):
    """A value with its references replaced. `names` are those it used; `missing` those that nothing defines."""

    text: str
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Environment:
    """Where `${NAME}` takes from. An empty variable counts as absent: that is how a shell or compose file passes one on unset."""

    __slots__ = ("_sources", "secrets")

    def __init__(
        self, environ: Mapping[str, str], dev_vars: Mapping[str, str] | None = None, secrets: Mapping[str, str] | None = None
    ) -> None:
        self.secrets = secrets or {}
        self._sources = (environ, self.secrets, dev_vars or {})

    def get(self, name: str) -> str | None:
        """The value of a variable, None when it is absent or empty."""
        for source in self._sources:
            if value := source.get(name):
                return value
        return None

    def expand(self, text: str) -> Expansion:
        """Replaces every `${NAME}`; `$${` stands for `${`. Raises `ValueError` for a `${` that is no reference."""
        if "${" not in text:
            return Expansion(text)
        names: list[str] = []
        missing: list[str] = []

        def value(found: re.Match[str]) -> str:
            if found[0] == "$${":
                return "${"
            name = found[1]
            if name is None:
                raise ValueError("`${` begins no reference: write ${NAME}, or $${ for the text ${ itself")
            names.append(name)
            known = self.get(name)
            if known is None:
                missing.append(name)
            return known or ""

        return Expansion(_REFERENCE.sub(value, text), tuple(names), tuple(missing))


def read_environment(folder: Path, environ: Mapping[str, str], problems: list[Problem]) -> Environment:
    """The environment of a project in `folder`; what is wrong with its `.dev.vars` is added to `problems`."""
    secrets: dict[str, str] = {}
    try:
        secrets = read_secrets(folder, environ)
    except ConfigError as error:
        problems += error.problems
    file = folder / DEV_VARS
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Environment(environ, secrets=secrets)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(Problem(str(file), None, "", f"cannot be read: {reason}"))
        return Environment(environ, secrets=secrets)
    values, found = parse_dev_vars(text, str(file))
    problems += found
    return Environment(environ, values, secrets)


def parse_dev_vars(text: str, file: str = DEV_VARS) -> tuple[dict[str, str], list[Problem]]:
    """The variables of a `.dev.vars` text and every line that is none. Values never appear in the problems."""
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            problems.append(Problem(file, number, "", "not a NAME=value line"))
            continue
        value = _value(found[2])
        if value is None:
            problems.append(Problem(file, number, found[1], "the closing quote is missing, or something stands behind it"))
            continue
        values[found[1]] = value
    return values, problems


def _value(text: str) -> str | None:
    if text.startswith("'"):
        single = _SINGLE.fullmatch(text)
        return single[1] if single else None
    if text.startswith('"'):
        double = _DOUBLE.fullmatch(text)
        return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), double[1]) if double else None
    return re.split(r"(?:^|[ \t])#", text, maxsplit=1)[0].rstrip()
