"""`wws queues list`, `peek`, `redrive` and `purge`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from wws import codec
from wws.cli.options import Config, Json, command
from wws.cli.output import print_json, print_line, print_table
from wws.cli.store import opened_jobs
from wws.core.queue.message import Counts, Message, plain
from wws.project.document import nearest
from wws.project.settings import Project
from wws.stores import JobStore

app = command()

Name = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue's binding.", show_default=False)]
Dead = Annotated[bool, typer.Option("--dead", help="Dead letters instead of messages.", show_default=False)]


@app.callback()
def queues() -> None:
    """Queues of the project: what they hold, their dead letters. All of it works beside a running gateway.

    \b
    Example:
      wws queues list
    """


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """List the queues with what they hold.

    Ready messages may be delivered now; waiting ones are held back, or being worked on.

    \b
    Example:
      wws queues list
    """

    async def counted(jobs: JobStore, names: list[str]) -> list[Counts]:
        return [await jobs.counts(name) for name in names]

    with opened_jobs(config) as (project, jobs):
        counts = asyncio.run(counted(jobs, [queue.binding for queue in project.queues]))
    rows = list(zip(project.queues, counts, strict=True))
    if json:
        print_json(
            [
                {"queue": one.binding, "function": one.function, "ready": n.ready, "waiting": n.waiting, "dead": n.dead}
                for one, n in rows
            ]
        )
        return
    columns = ("queue", "function", "ready", "waiting", "dead")
    print_table(columns, [(one.binding, one.function or "", str(n.ready), str(n.waiting), str(n.dead)) for one, n in rows])


@app.command()
def peek(
    queue: Name,
    dead: Dead = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, metavar="N", help="How many at most.")] = 10,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show the next messages, or the oldest dead letters with why they died. They stay as they are.

    \b
    Example:
      wws queues peek JOBS --dead
    """
    with opened_jobs(config) as (project, jobs):
        found = asyncio.run(jobs.peek(_known(project, queue), limit, dead=dead))
    if json:
        print_json([plain(message) for message in found])
        return
    print_table(("id", "sent", "attempts", "why", "body"), [_row(message) for message in found], loose=4)


@app.command()
def redrive(queue: Name, config: Config = None, json: Json = False) -> None:
    """Make every dead letter a message again, due at once and with all its attempts.

    \b
    Example:
      wws queues redrive JOBS
    """

    async def all_of_them(jobs: JobStore) -> int:
        total = 0
        while moved := await jobs.redrive(queue):
            total += moved
        return total

    with opened_jobs(config) as (project, jobs):
        _known(project, queue)
        moved = asyncio.run(all_of_them(jobs))
    if json:
        print_json({"queue": queue, "redriven": moved})
    else:
        print_line(f"{moved} dead letter{'' if moved == 1 else 's'} of {queue} will be delivered again")


@app.command()
def purge(
    queue: Name,
    dead: Dead = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Remove every message of a queue, those that are being worked on too, or every dead letter. There is no way back.

    \b
    Example:
      wws queues purge JOBS --dead --yes
    """
    with opened_jobs(config) as (project, jobs):
        _known(project, queue)
        if not yes:
            typer.confirm(f"Remove every {'dead letter' if dead else 'message'} of {queue}?", abort=True, err=True)
        gone = asyncio.run(jobs.purge(queue, dead=dead))
    if json:
        print_json({"queue": queue, "purged": gone})
    else:
        print_line(f"removed {gone} {'dead letter' if dead else 'message'}{'' if gone == 1 else 's'} of {queue}")


def _known(project: Project, queue: str) -> str:
    names = [one.binding for one in project.queues]
    if queue not in names:
        there = f"; there are {', '.join(names)}" if names else "; wws.toml has no [[queues]]"
        raise typer.BadParameter(f"there is no queue {queue}{nearest(queue, names) or there}", param_hint="QUEUE")
    return queue


def _row(message: Message) -> tuple[str, str, str, str, str]:
    shown = plain(message)
    sent = datetime.fromtimestamp(int(message.sent), UTC).isoformat().replace("+00:00", "Z")
    return message.id.lstrip("0") or "0", sent, str(message.attempts), message.reason, codec.encode(shown["body"]).decode()
