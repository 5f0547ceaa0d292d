"""`wws sessions purge`."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from wws.cli.options import Config, Json, command
from wws.cli.output import print_json, print_line
from wws.cli.store import opened
from wws.functions.auth_admin import purge_sessions

app = command()


@app.callback()
def sessions() -> None:
    """Sessions that the gateway remembers.

    \b
    Example:
      wws sessions purge --user 6f1c2b1e-0000-4000-8000-000000000001
    """


@app.command()
def purge(
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="Every session of this user.", show_default=False)
    ] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="ID", help="This session.", show_default=False)] = None,
    token: Annotated[
        bool,
        typer.Option(
            "--token", help="The token on standard input; an argument would be seen by other users.", show_default=False
        ),
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="All: every token is verified anew.", show_default=False)] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """End what is remembered of sessions, in a running gateway too. A purged session, user or token is refused from now on.

    \b
    Example:
      wws sessions purge --session 0c9e3f9a-0000-4000-8000-000000000002
    """
    if sum((user is not None, session is not None, token, everything)) != 1:
        raise typer.BadParameter("name exactly one of --user, --session, --token and --all")
    text = sys.stdin.readline().strip() if token else None
    if text == "":
        raise typer.BadParameter("standard input holds no token", param_hint="--token")
    with opened(config) as env:
        count = asyncio.run(purge_sessions(env, token=text, session_id=session, subject=user, everything=everything))
    if json:
        print_json({"purged": count})
    else:
        print_line(f"purged {count} remembered session{'' if count == 1 else 's'}")
