"""`wws rollback`."""

from __future__ import annotations

from typing import Annotated

import typer

from wws.cli.options import Config, Json, command
from wws.cli.output import print_json, print_line
from wws.cli.remote import AdminUrl, Remote

app = command()


@app.command()
def rollback(
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="As `wws versions` shows it; the one before.", show_default=False)
    ] = None,
    url: AdminUrl = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Let the version before answer again, or end a roll-out.

    \b
    Example:
      wws rollback --url https://admin.example.com
    """
    state = Remote(url, config).ask("POST", "/api/rollback", {} if version is None else {"version": version})
    if json:
        print_json(state)
    else:
        print_line(f"{state['active']} answers")
