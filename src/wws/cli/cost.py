"""`wws cost`."""

from __future__ import annotations

import os
import sqlite3
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from wws.cli.launch import locate_file
from wws.cli.options import Config, Json, command
from wws.cli.output import fail, note, print_json, print_line, print_table
from wws.core.route.catalogue import CATALOGUE_DATE, price_of
from wws.observe.cost import BY, Row, costs
from wws.observe.ledger import ledger_file
from wws.project import durations
from wws.project.load import load
from wws.project.settings import Project

app = command()

_DEFAULT = ["day", "model"]


def _moment(value: str) -> str:
    try:
        _seconds(value)
    except ValueError:
        raise typer.BadParameter(f'found "{value}"; allowed: a day such as 2026-11-22, or how long ago, such as 7d') from None
    return value


def _seconds(value: str) -> float:
    """Seconds since 1970, of a day's beginning in UTC or of so long ago."""
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return time.time() - durations.seconds(value)
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


@app.command()
def cost(
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", metavar="NAME", help=f"Add up by {', '.join(BY)}; repeat it. Default: day, model.", show_default=False
        ),
    ] = None,
    since: Annotated[str, typer.Option("--since", metavar="WHEN", callback=_moment, help="A day, or how long ago.")] = "30d",
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DAY", help="The first day that is left out; none when not given.", show_default=False),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """What AI calls used and cost, from the ledger: by day, provider, model, user, key or route. Days are UTC's.

    Prices are those of wws.toml, else those of the catalogue, when the call was made.

    \b
    Example:
      wws cost --by user --since 7d
    """
    names = by or _DEFAULT
    if unknown := [name for name in names if name not in BY]:
        raise typer.BadParameter(f'found "{unknown[0]}"; allowed: {", ".join(BY)}', param_hint="--by")
    path, _ = locate_file(config, os.environ)
    project = load(path, environ=os.environ, allow_missing=True)
    file = ledger_file(project.store_url, project.home)
    if file is None:
        raise typer.Exit(fail(f"{path}: kv.store keeps no ledger; allowed: lmdb:FOLDER", as_json=json))
    try:
        rows = costs(file, names, _seconds(since), None if until is None else _seconds(_moment(until)))
        free = _without_price(project, file, _seconds(since))
    except sqlite3.Error as error:
        raise typer.Exit(fail(f"{file}: {error}", as_json=json)) from None
    if json:
        print_json({"rows": [_fields(names, row) for row in rows], "total": _fields([], _total(rows)), "without_price": free})
        return
    columns = (*names, "requests", "errors", "tokens in", "tokens out", "cached", "USD")
    print_table(columns, [_cells(row) for row in (*rows, _total(rows, len(names)))])
    for model in free:
        note(f"no price is known for {model}: its cost counts as 0; write price_in and price_out in wws.toml")
    if not rows:
        print_line("nothing was used")
    note(f"prices: wws.toml, else the catalogue of {CATALOGUE_DATE}")


def _total(rows: list[Row], width: int = 0) -> Row:
    sums = [sum(column) for column in zip(*[row[1:] for row in rows], strict=True)] or [0] * 7
    return Row(("total", *[""] * (width - 1)) if width else (), *sums)


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (row.requests, row.errors, row.tokens_in, row.tokens_out, row.tokens_cached)
    return (*row.of, *map(str, numbers), f"{row.cost_usd:.4f}")


def _fields(names: list[str], row: Row) -> dict[str, object]:
    return {**dict(zip(names, row.of, strict=True)), **{name: getattr(row, name) for name in Row._fields[1:]}}


def _without_price(project: Project, file: Path, since: float) -> list[str]:
    """The models that were used and have no price."""
    used = [row.of for row in costs(file, ["provider", "model"], since) if row.tokens_in or row.tokens_out]
    models = [(provider, model.removeprefix(f"{provider}/")) for provider, model in used]
    providers = project.policy.providers
    return [f"{provider}/{model}" for provider, model in models if price_of(providers.get(provider), provider, model) is None]
