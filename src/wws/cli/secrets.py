"""`wws secrets put`, `list` and `delete`."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from wws.cli.launch import locate_file
from wws.cli.options import Config, Json, command
from wws.cli.output import fail, note, print_json, print_line, print_table
from wws.project.vault import Vault

app = command()

Name = Annotated[str, typer.Argument(metavar="NAME", help="As in ${NAME} and env.NAME.", show_default=False)]


@app.callback()
def secrets() -> None:
    """Secrets of a project, encrypted at rest in .wws/secrets.json: for ${NAME} in wws.toml, and env.NAME in functions.

    \b
    Example:
      wws secrets put ZAI_API_KEY
    """


@app.command()
def put(
    name: Name,
    from_file: Annotated[
        Path | None, typer.Option("--from-file", metavar="FILE", help="Take the value from a file.", show_default=False)
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Add or replace a secret. Its value is asked for, read from standard input, or from a file; never from an argument.

    A final line break is no part of it. The key is WWS_SECRETS_KEY's, or made once in .wws/secrets.key: keep a copy apart.

    \b
    Example:
      wws secrets put ZAI_API_KEY < key.txt
    """
    try:
        replaced = _vault(config).put(name, _value(name, from_file), time.time())
    except ValueError as error:
        raise typer.Exit(fail(str(error), as_json=json)) from None
    if json:
        print_json({"name": name, "replaced": replaced})
    else:
        print_line(f"{'replaced' if replaced else 'added'} {name}")
        note("A running gateway has it after its next reload.")


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """List the names of the secrets; values are never shown.

    \b
    Example:
      wws secrets list
    """
    found = _vault(config).names()
    if json:
        print_json([{"name": one.name, "updated_at": _time(one.updated)} for one in found])
    else:
        print_table(("name", "updated"), [(one.name, _time(one.updated)) for one in found])


@app.command()
def delete(name: Name, config: Config = None, json: Json = False) -> None:
    """Remove a secret.

    \b
    Example:
      wws secrets delete ZAI_API_KEY
    """
    if not _vault(config).delete(name):
        raise typer.Exit(fail(f"there is no secret {name}; `wws secrets list` shows those there are", as_json=json))
    if json:
        print_json({"name": name, "deleted": True})
    else:
        print_line(f"deleted {name}")


def _vault(config: Path | None) -> Vault:
    path, _ = locate_file(config, os.environ)
    return Vault(path.parent, os.environ)


def _value(name: str, file: Path | None) -> str:
    try:
        if file is not None:
            data = file.read_bytes()
        elif sys.stdin.isatty():
            return str(typer.prompt(f"Value of {name}", hide_input=True))
        else:
            data = sys.stdin.buffer.read()
        text = data.decode()
    except UnicodeDecodeError:
        raise ValueError("the value is not UTF-8; put bytes in as base64") from None
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from None
    return text.removesuffix("\n").removesuffix("\r")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
