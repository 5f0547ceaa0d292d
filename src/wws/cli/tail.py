"""`wws tail`."""

from __future__ import annotations

import json as codec
import sys
from collections.abc import Iterator
from datetime import datetime
from http.client import HTTPException, HTTPResponse
from typing import Annotated, Any

import typer

from wws.cli.options import Config, Json, command
from wws.cli.output import fail, note
from wws.cli.remote import AdminUrl, Remote

app = command()

_STYLES = {"2": "green", "3": "cyan", "4": "yellow", "5": "bold red"}


@app.command()
def tail(
    status: Annotated[
        str | None,
        typer.Option("--status", metavar="STATUS", help="Such as 404 or 5xx; several with commas.", show_default=False),
    ] = None,
    route: Annotated[
        str | None, typer.Option("--route", metavar="PATH", help="A route's pattern, as in wws.toml.", show_default=False)
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="A user's id, or subject_hash of the log.", show_default=False)
    ] = None,
    function: Annotated[str | None, typer.Option("--function", metavar="NAME", help="A function.", show_default=False)] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only what went wrong.", show_default=False)] = False,
    sample: Annotated[
        float | None, typer.Option("--sample", metavar="SHARE", min=0.0001, max=1, help="Of the requests.", show_default=False)
    ] = None,
    url: AdminUrl = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Watch a running gateway: a line for each request as it finishes, and its log with tracebacks, until interrupted.

    With --json each line is one JSON object. Who reads too slowly loses lines and is told how many.

    \b
    Example:
      wws tail --errors --url https://admin.example.com
    """
    remote = Remote(url, config)
    response = remote.open(
        "GET",
        "/api/tail",
        status=status,
        route=route,
        user=user,
        function=function,
        errors="1" if errors else None,
        sample=sample,
    )
    note(f"watching {remote.url}; end with Ctrl-C")
    show = _plain if json else _printer()
    try:
        for event, data in _events(response):
            if event == "line":
                show(data)
            elif event == "lost":
                lost = "some" if data["lines"] is None else data["lines"]
                note(f"{lost} lines were lost: they came faster than they were read")
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # `| head`
        sys.stderr.close()
        return
    except (OSError, HTTPException) as error:
        raise typer.Exit(fail(f"the stream broke off: {str(error) or type(error).__name__}", as_json=False)) from None
    raise typer.Exit(fail("the gateway ended the stream", as_json=False))


def _events(response: HTTPResponse) -> Iterator[tuple[str, Any]]:
    event = ""
    for raw in response:
        line = raw.decode().rstrip("\n")
        if line.startswith("event: "):
            event = line[7:]
        elif line.startswith("data: "):
            yield event, codec.loads(line[6:])


def _plain(line: dict[str, Any]) -> None:
    sys.stdout.write(codec.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _printer() -> Any:
    """For people: one line each, in colour on a terminal, tracebacks below."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)

    def show(line: dict[str, Any]) -> None:
        when = datetime.fromtimestamp(line["ts"]).strftime("%H:%M:%S.%f")[:-3]
        if line["type"] == "log":
            text = Text(f"{when} {line['level']:7} {line['logger']}: {line['message']}", "yellow")
        else:
            code = str(line["status"])
            text = Text.assemble(f"{when} ", (code, _STYLES.get(code[0], "")), f" {line['method']:6} {line['route'] or '-'}")
            text.append(f"  {line['duration_ms']:.1f} ms", "bold")
            text.append("".join([f"  {word}" for word in _words(line)]), "dim")
        console.print(text)
        if "traceback" in line:
            console.print(Text(line["traceback"].rstrip(), "red"))

    return show


def _words(line: dict[str, Any]) -> Iterator[str]:
    for name in ("error_type", "function", "model", "cache", "reason"):
        if line.get(name):
            yield str(line[name])
    if line.get("subject_hash"):
        yield f"user {line['subject_hash']}"
    yield str(line["request_id"])
