"""`wws init`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from wws.cli.launch import DEFAULT_FILE
from wws.cli.options import Config, Json, command
from wws.cli.output import fail, print_json, print_line
from wws.project.starter import DEV_VARS_EXAMPLE, HELLO, IGNORED, project_name, wws_toml

app = command()


@app.command()
def init(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Where; this folder when not given.", show_default=False)
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="The project's name; the folder's when not given.", show_default=False),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Write a commented starter project. Files that exist are kept as they are.

    \b
    Example:
      wws init my-project
    """
    if folder is not None and config is not None:
        raise typer.BadParameter("give a folder or --config, not both")
    target = config or (folder or Path()) / DEFAULT_FILE
    home = target.parent
    title = project_name(home.resolve().name if name is None else name)
    files = {
        target: wws_toml(title),
        home / ".dev.vars.example": DEV_VARS_EXAMPLE,
        home / "functions" / "hello.py": HELLO,
    }
    try:
        done = {path: "created" if _create(path, text) else "kept" for path, text in files.items()}
        done[home / ".gitignore"] = _ignore(home / ".gitignore")
    except OSError as error:
        raise typer.Exit(fail(f"{error.filename}: {error.strerror}", as_json=json)) from None
    if json:
        print_json({state: [str(path) for path in done if done[path] == state] for state in ("created", "changed", "kept")})
        return
    for path, state in done.items():
        print_line(f"{state:8} {path}")
    print_line(f"next: cd {home}, then wws check, then wws dev" if str(home) != "." else "next: wws check, then wws dev")


def _create(path: Path, text: str) -> bool:
    """Writes a new file; False, and nothing written, when there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return True


def _ignore(path: Path) -> str:
    """Adds what is missing to .gitignore."""
    if _create(path, "".join([f"{entry}\n" for entry in IGNORED])):
        return "created"
    text = path.read_text(encoding="utf-8")
    present = {line.strip() for line in text.splitlines()}
    missing = [entry for entry in IGNORED if not {entry, entry.rstrip("/"), f"/{entry}"} & present]
    if not missing:
        return "kept"
    with path.open("a", encoding="utf-8") as file:
        file.write("".join([*(["\n"] if text and not text.endswith("\n") else []), *[f"{entry}\n" for entry in missing]]))
    return "changed"
