"""`wws serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from wws.cli.launch import Start, launch
from wws.cli.options import Config, Json, command

app = command()


@app.command()
def serve(
    config: Config = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Let demo parts stand in where keys are missing.", show_default=False)
    ] = False,
    json: Json = False,
) -> None:
    """Serve a project in the foreground, logging to standard error.

    It ends with every problem of wws.toml at once when there is one, and never starts a demo part unless asked to.

    \b
    Example:
      wws serve --config /etc/wws/wws.toml
    """
    raise typer.Exit(launch(Start("serve", None if config is None else str(config), demo)))
