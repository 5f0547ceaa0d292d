"""`wws dev`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from wws.cli.build import Target, read
from wws.cli.launch import Start, launch
from wws.cli.options import Config, Json, command
from wws.project.address import ALLOWED, Address, address
from wws.project.targets import DEFAULT, runner

app = command()


@app.command()
def dev(
    config: Config = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Only demo parts: neither wws.toml nor any key is used.", show_default=False)
    ] = False,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="N", min=0, max=65535, help="On this machine; 0 takes a free one.", show_default=False),
    ] = None,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="ADDRESS", help="Instead of server.listen.", show_default=False)
    ] = None,
    target: Target = DEFAULT,
    json: Json = False,
) -> None:
    """Serve a project while you work on it: what is saved is served at once, mistakes are shown where they are met.

    Demo parts stand in where keys are missing.

    Without a wws.toml it serves the defaults. With --target cloudflare it runs in that platform's own runtime, by its own tool.

    \b
    Example:
      wws dev
    """
    run = runner(target)
    if run is not None:
        raise typer.Exit(min(run(read(config, target), os.environ), 1))
    raise typer.Exit(launch(Start("dev", None if config is None else str(config), demo, _address(port, listen))))


def _address(port: int | None, listen: str | None) -> Address | None:
    if port is not None and listen is not None:
        raise typer.BadParameter("give --port or --listen, not both")
    if listen is None:
        return None if port is None else Address("127.0.0.1", port)
    try:
        return address(listen)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; allowed: {ALLOWED}", param_hint="--listen") from None
