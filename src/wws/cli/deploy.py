"""`wws deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wws.cli.build import Target, built, read
from wws.cli.options import Config, Json, command
from wws.cli.output import fail, note, print_json, print_line
from wws.cli.remote import AdminUrl, Remote
from wws.project.targets import DEFAULT, builder, deployer

app = command()

Percent = Annotated[
    float, typer.Option("--percent", metavar="N", min=1, max=100, help="Only for so many of 100 callers.", show_default=False)
]


@app.command()
def deploy(
    address: Annotated[
        str | None, typer.Argument(metavar="URL", help="The gateway's admin listener, as --url.", show_default=False)
    ] = None,
    target: Target = DEFAULT,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="What `wws build` made; built now when not given.", show_default=False),
    ] = None,
    percent: Percent = 100,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Of another platform: its tool checks all and sends nothing.", show_default=False)
    ] = False,
    url: AdminUrl = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Send a project to a running gateway, which checks it, loads it, and switches to it without dropping a request.

    What is wrong is told and changes nothing. The token is WWS_ADMIN_TOKEN's, or the one of [admin] in wws.toml.

    \b
    Example:
      wws deploy --target self-hosted https://admin.example.com
    """
    if target != DEFAULT:
        raise typer.Exit(_elsewhere(config, target, dry_run))
    if dry_run:
        words = "a gateway of one's own checks what it gets, and what is wrong changes nothing there"
        raise typer.BadParameter(words, param_hint="--dry-run")
    remote = Remote(address or url, config)
    path = built(config, target, None).path if bundle is None else bundle
    try:
        data = path.read_bytes()
    except OSError as error:
        raise typer.Exit(fail(f"{path}: {error.strerror}", as_json=json)) from None
    state = remote.ask("POST", "/api/versions", data, percent=f"{percent:g}")
    if json:
        print_json(state)
    elif state["rollout"] is None:
        print_line(f"{state['active']} answers")
    else:
        print_line(f"{state['rollout']['version']} answers {percent:g}% of the callers, {state['active']} the others")


def _elsewhere(config: Path | None, target: str, dry_run: bool) -> int:
    """Builds the project, and has the platform's own tool send it there; the exit status."""
    project = read(config, target)
    done = builder(target)(project, None)
    for line in done.notes:
        note(line)
    send = deployer(target)
    if send is None:
        print_line(str(done.path))
        return 0
    return min(send(project, done, dry_run), 1)
