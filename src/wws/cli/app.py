"""The commands by name. A command's module is imported when it is called, or when help lists them."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from wws._version import __version__
from wws.cli.options import wants_json
from wws.cli.output import fail, print_line
from wws.errors import WwsError

__all__ = ["COMMANDS", "app"]

COMMANDS: dict[str, str] = {
    "init": "wws.cli.init",
    "dev": "wws.cli.dev",
    "serve": "wws.cli.serve",
    "check": "wws.cli.check",
    "route": "wws.cli.route",
    "routes": "wws.cli.routes",
    "keys": "wws.cli.keys",
    "sessions": "wws.cli.sessions",
    "queues": "wws.cli.queues",
    "trigger": "wws.cli.trigger",
    "status": "wws.cli.status",
    "state": "wws.cli.state",
    "build": "wws.cli.build",
    "deploy": "wws.cli.deploy",
    "versions": "wws.cli.versions",
    "rollback": "wws.cli.rollback",
    "rollout": "wws.cli.rollout",
    "secrets": "wws.cli.secrets",
    "tail": "wws.cli.tail",
    "cost": "wws.cli.cost",
}


class Commands(TyperGroup):
    """Looks commands up in `COMMANDS`, and turns our own errors into a line on standard error and status 1."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return typer.main.get_command(import_module(COMMANDS[cmd_name]).app)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except WwsError as error:
            raise typer.Exit(fail(error, as_json=wants_json(ctx))) from None


app = typer.Typer(cls=Commands, add_completion=False, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False)


def _version(value: bool) -> None:
    if value:
        print_line(f"wws {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.", show_default=False)
    ] = False,
) -> None:
    """Web Worker Services: the serverless function layer for the edge.

    \b
    Begin with:
      wws init
      wws dev
    """
