"""`wws build`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from wws.cli.launch import locate_file
from wws.cli.options import Config, Json, command
from wws.cli.output import note, print_json, print_line
from wws.errors import ConfigError
from wws.project.settings import Project
from wws.project.targets import DEFAULT, Built, builder, loader, targets

__all__ = ["Target", "app", "built", "read"]

app = command()


def _target(value: str) -> str:
    if value not in targets():
        raise typer.BadParameter(f'found "{value}"; allowed: {", ".join(targets())}')
    return value


Target = Annotated[
    str, typer.Option("--target", metavar="NAME", callback=_target, help=f"Where it will run: {', '.join(targets())}.")
]


def read(config: Path | None, target: str) -> Project:
    """The project as `target` reads it; warnings go to standard error. Raises `ConfigError`."""
    path, _ = locate_file(config, os.environ)
    project = loader(target)(path, os.environ)
    for warning in project.warnings:
        note(f"warning: {warning}")
    if project.functions.broken:
        raise ConfigError(list(project.functions.broken))
    return project


def built(config: Path | None, target: str, out: Path | None) -> Built:
    """Checks the project and builds it for `target`. Raises `WwsError`."""
    return builder(target)(read(config, target), out)


@app.command()
def build(
    target: Target = DEFAULT,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="Where to write it; in .wws when not given.", show_default=False)
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Check a project and make what is deployed of it: the same project gives the same bytes.

    Secrets are not part of it: neither .dev.vars nor what the environment holds; `${NAME}` stays as it is written.

    \b
    Example:
      wws build --target self-hosted
    """
    done = built(config, target, out)
    if json:
        print_json({"target": target, "version": done.version, "path": str(done.path), "files": done.files, "bytes": done.size})
        return
    print_line(f"{done.path}  version {done.version}, {done.files} files, {done.size} bytes")
    for line in done.notes:
        note(line)
