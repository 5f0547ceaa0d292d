"""The options that every command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wws.cli.launch import VARIABLE

__all__ = ["Config", "Json", "command", "wants_json"]

_JSON = "wws.json"


def command() -> typer.Typer:
    """A command, or a group of them, in the form all have."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=False)


def wants_json(context: typer.Context) -> bool:
    """Whether this call was asked to print for machines."""
    return bool(context.meta.get(_JSON))


def _remember(context: typer.Context, value: bool) -> bool:
    context.meta[_JSON] = value
    return value


Config = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar=VARIABLE, metavar="FILE", help="The project's file; ./wws.toml when not given.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", callback=_remember, help="Print for machines.", show_default=False)]
