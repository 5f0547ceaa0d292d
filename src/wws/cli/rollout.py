"""`wws rollout`."""

from __future__ import annotations

from typing import Annotated

import typer

from wws.cli.options import Config, Json, command
from wws.cli.output import print_json, print_line
from wws.cli.remote import AdminUrl, Remote

app = command()


@app.command()
def rollout(
    percent: Annotated[
        float, typer.Argument(metavar="PERCENT", min=0, max=100, help="Of the callers; 100 ends it well, 0 takes it back.")
    ],
    url: AdminUrl = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Give the version that `wws deploy --percent` began to more of the callers. Who has it keeps it.

    \b
    Example:
      wws rollout 50 --url https://admin.example.com
    """
    state = Remote(url, config).ask("POST", "/api/rollout", {"percent": percent})
    if json:
        print_json(state)
    elif state["rollout"] is None:
        print_line(f"{state['active']} answers")
    else:
        print_line(f"{state['rollout']['version']} answers {percent:g}% of the callers, {state['active']} the others")
