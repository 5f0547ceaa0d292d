"""docs/commands.md, written from the commands' own help: `python -m wws.cli.reference > docs/commands.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from wws.cli.app import app

__all__ = ["helps", "render"]

WIDTH = 100
HEAD = """\
# Commands

<!-- Written by `python -m wws.cli.reference > docs/commands.md` from the commands' help: change it there. -->

Each command takes `--config FILE`; without it, `WWS_CONFIG` or else `./wws.toml`. With `--json` it prints one JSON value on
standard output, errors too: `{"error": {"message", "problems"}}`. Results go to standard output, everything else to standard
error.

| status | means |
|---|---|
| 0 | done |
| 1 | failed: standard error says why, with file and line where the project is wrong |
| 2 | usage: an option or argument that is not one |

`wws dev` and `wws serve` run in the foreground until SIGINT or SIGTERM. They then stop listening, give answers in progress 30
seconds, and end with status 0. When they are ready they write one line to standard error:

    wws ready on http://127.0.0.1:8787, admin on http://127.0.0.1:8788

A request log follows on standard error, one JSON object a line (`server.log` in wws.toml).
"""


def helps() -> Iterator[tuple[str, str]]:
    """Each command with its help, groups before their own commands."""
    yield from _walk(typer.main.get_command(app), "wws", None)


def _walk(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    context = command.make_context(name, [], parent, resilient_parsing=True, terminal_width=WIDTH)
    yield (name if parent is None else f"{parent.command_path} {name}"), command.get_help(context)
    if hasattr(command, "list_commands"):
        for child in command.list_commands(context):
            yield from _walk(command.get_command(context, child), child, context)


def render() -> str:
    """The page."""
    parts = [HEAD]
    for name, text in helps():
        parts.append(f"## `{name}`\n\n```\n{text.strip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render())
