"""`wws dev`."""

from __future__ import annotations

from typing import Annotated

import typer

from wws.cli.launch import Start, launch
from wws.cli.options import Config, Json, command

app = command()


@app.command()
def dev(
    config: Config = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Only demo parts: neither wws.toml nor any key is used.", show_default=False)
    ] = False,
    json: Json = False,
) -> None:
    """Serve a project while you work on it: demo parts stand in where keys are missing.

    Without a wws.toml it serves the defaults.

    \b
    Example:
      wws dev
    """
    raise typer.Exit(launch(Start("dev", None if config is None else str(config), demo)))
