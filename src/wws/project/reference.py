"""docs/configuration.md, written from the schema: `python -m wws.project.reference > docs/configuration.md`."""

from __future__ import annotations

import sys

from wws.project.schema import KEYS, TABLES, Key, table_of

__all__ = ["render"]

HEAD = """\
# wws.toml

<!-- Written by `python -m wws.project.reference > docs/configuration.md` from src/wws/project/schema.py: change it there. -->

Every key, its default and what is allowed. A key that is left out has its default; `wws check` names every mistake of a file
with its line, and `wws init` writes one to start from.

- Durations are texts with a unit: `500ms`, `60s`, `5m`, `1h`, `1h30m`. Sizes: `64KiB`, `32MiB`, or a number of bytes.
- `${NAME}` in any text takes the value of an environment variable, else a secret of
  `wws secrets`, else a line `NAME=value` of `.dev.vars` beside the file.
  `$${` stands for `${`. A variable that is not set, or empty, is an error; for a secret `wws dev` only turns off what needs it.
- Rates: `60/min`, `5/10s`, `1000/hour`, `100/day`: exact, so never more than 60 in any 60 seconds. `60/min burst 10` is a token
  bucket. `60/min approximate` lets Cloudflare's own limiter count, which is cheaper and not exact; elsewhere it is exact too.
- `*` in a table's name stands for a name of your choice, `[[...]]` for a table that may be repeated.
- `[models]`, `[[rules]]` and `[[routes]]` replace their default lists when they are given. Of `[limits]` each line stands alone.
- Relative paths begin in the folder of wws.toml.
"""


def render() -> str:
    """The page."""
    parts = [HEAD]
    for table, about in TABLES.items():
        keys = [key for key in KEYS if table_of(key) == table]
        parts.append(f"## {_heading(table)}\n\n{about}\n")
        if keys:
            parts.append("| key | default | allowed | what |\n|---|---|---|---|\n" + "".join(map(_row, keys)))
    return "\n".join(parts)


def _heading(table: str) -> str:
    if not table:
        return "Top level"
    name = table.replace("[]", "").replace("*", "NAME")
    return f"`[[{name}]]`" if table.endswith("[]") else f"`[{name}]`"


def _row(key: Key) -> str:
    name = key.path.removeprefix(table_of(key)).removeprefix(".")
    if table_of(key) == "limits":
        name = f'"{name.replace("*", "/path")}"' if "/" in name or name == "*" else name
    name = name.replace("*", "NAME")
    default = "**required**" if key.required else f"`{key.default}`" if key.default is not None else ""
    return f"| {_cell(f'`{name}`')} | {_cell(default)} | {_cell(key.kind.allowed)} | {_cell(key.about)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render())
