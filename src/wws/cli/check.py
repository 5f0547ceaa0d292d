"""`wws check`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from wws.cli.launch import locate_file
from wws.cli.options import Config, Json, command
from wws.cli.output import print_json, print_line, print_table, problem_fields
from wws.errors import Problem
from wws.project.load import examine

app = command()


@app.command()
def check(
    config: Config = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="As `wws serve` would: a secret that is not set is an error.", show_default=False)
    ] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Ask each provider for its models (GET /models).", show_default=False)
    ] = False,
    json: Json = False,
) -> None:
    """Check wws.toml: every error and warning at once, with file and line. Status 1 when there is an error.

    \b
    Example:
      wws check --strict --online
    """
    path, _ = locate_file(config, os.environ)
    found = examine(path, environ=os.environ, allow_missing=not strict)
    warnings, problems = list(found.warnings), list(found.problems)
    if found.project is not None:
        problems += found.project.functions.broken
        from wws.cli.models import known_models, online_models

        warnings += known_models(found.project)
        if online:
            warnings += online_models(found.project)
    _report(str(path), problems, warnings, json)
    raise typer.Exit(1 if problems else 0)


def _report(file: str, problems: list[Problem], warnings: list[Problem], as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "ok": not problems,
                "errors": list(map(problem_fields, problems)),
                "warnings": list(map(problem_fields, warnings)),
            }
        )
        return
    if rows := [_row("error", problem) for problem in problems] + [_row("warning", problem) for problem in warnings]:
        print_table(("", "where", "key", "what"), rows, loose=3)
    if not problems:
        print_line(f"{file}: good" + (f", with {len(warnings)} warning{'s' * (len(warnings) > 1)}" if warnings else ""))


def _row(level: str, problem: Problem) -> tuple[str, str, str, str]:
    where = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
    return level, where, problem.key, problem.message
