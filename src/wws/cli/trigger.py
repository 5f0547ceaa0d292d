"""`wws trigger`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from wws import codec
from wws.cli.options import Config, Json, command
from wws.cli.output import fail, note, print_json, print_line
from wws.cli.store import opened, opened_jobs
from wws.core.schedule.order import QUEUE, Order, order, result
from wws.project.document import nearest

app = command()
_LOOK = 0.1
"""Seconds between two looks for the outcome."""


@app.command()
def trigger(
    function: Annotated[
        str, typer.Argument(metavar="FUNCTION", help="Its file below functions/, without .py.", show_default=False)
    ],
    cron: Annotated[str, typer.Option("--cron", metavar="TEXT", help="What `event.cron` is to say.", show_default=False)] = "",
    wait: Annotated[float, typer.Option("--wait", min=0, metavar="SECONDS", help="How long to wait for the outcome.")] = 30.0,
    config: Config = None,
    json: Json = False,
) -> None:
    """Run a scheduled function now, once, in a running gateway, and tell how it ended.

    \b
    Example:
      wws trigger jobs/cleanup
    """
    number = _ordered(config, function, cron)
    outcome = _outcome(config, number, wait)
    if outcome is None:
        text = f"{function} has not ended after {wait:g} s; is a gateway running? It will run as soon as one is"
        raise typer.Exit(fail(text, as_json=json))
    if json:
        print_json({"function": function, **outcome})
    elif outcome["outcome"] == "ok":
        print_line(f"{function} ran in {outcome['seconds']:.3f} s")
    else:
        note(f"error: {function}: {outcome['error']}")
    if outcome["outcome"] != "ok":
        raise typer.Exit(1)


def _ordered(config: Path | None, function: str, cron: str) -> str:
    with opened_jobs(config) as (project, jobs):
        known = [name for name, found in project.functions.functions.items() if "scheduled" in found.handlers]
        if function not in known:
            there = f"; there are {', '.join(known)}" if known else ""
            message = f"no function {function} has a scheduled handler{nearest(function, known) or there}"
            raise typer.BadParameter(message, param_hint="FUNCTION")
        return asyncio.run(jobs.send(QUEUE, [order(Order(function, cron))]))[0]


def _outcome(config: Path | None, number: str, wait: float) -> dict[str, Any] | None:
    """How it ended, None when it has not yet."""

    async def look(env: Any) -> dict[str, Any] | None:
        end = time.monotonic() + wait
        while (found := await env.wws.kv.get(result(number))) is None:
            if time.monotonic() > end:
                return None
            await asyncio.sleep(_LOOK)
        outcome: dict[str, Any] = codec.decode(found)
        return outcome

    with opened(config) as env:
        return asyncio.run(look(env))
