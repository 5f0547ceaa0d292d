"""`wws dev`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from wws.cli.build import Target, read
from wws.cli.launch import Start, launch
from wws.cli.options import Config, Json, command
from wws.project.targets import DEFAULT, runner

app = command()


@app.command()
def dev(
    config: Config = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Only demo parts: neither wws.toml nor any key is used.", show_default=False)
    ] = False,
    target: Target = DEFAULT,
    json: Json = False,
) -> None:
    """Serve a project while you work on it: demo parts stand in where keys are missing.

    Without a wws.toml it serves the defaults. With --target cloudflare it runs in that platform's own runtime, by its own tool.

    \b
    Example:
      wws dev
    """
    run = runner(target)
    if run is not None:
        raise typer.Exit(min(run(read(config, target), os.environ), 1))
    raise typer.Exit(launch(Start("dev", None if config is None else str(config), demo)))
