"""`wws status`."""

from __future__ import annotations

import json as jsonlib
import os
import socket
from http.client import HTTPConnection, HTTPException
from typing import Annotated, Any

import typer

from wws.cli.launch import locate_file
from wws.cli.options import Config, Json, command
from wws.cli.output import note, print_json, print_line, print_table
from wws.errors import WwsError
from wws.project.address import Address, address
from wws.project.load import load

app = command()

PATIENCE = 10.0
"""Seconds to wait for an answer: workers that do not answer are given up after one."""


@app.command()
def status(
    config: Config = None,
    admin: Annotated[
        str | None,
        typer.Option(
            "--admin", metavar="ADDRESS", help="Where the admin listener is; else as wws.toml says.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show what a running gateway is doing: its workers, providers, store, and last reload. Status 1 when none answers.

    \b
    Example:
      wws status --json
    """
    where = _given(admin) if admin is not None else _configured(config)
    fields = fetch(where, "/status")
    if json:
        print_json(fields)
    else:
        _show(fields)


def _given(text: str) -> Address:
    try:
        return address(text.removeprefix("http://").rstrip("/"))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--admin") from None


def _configured(config: Any) -> Address:
    path, _ = locate_file(config, os.environ)
    found = load(path, environ=os.environ, allow_missing=True).server.admin
    if found is None:
        raise WwsError(f'{path}: server.admin is "off": there is nobody to ask')
    return found


class _Unix(HTTPConnection):
    """HTTP over the socket file of a listener."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


def fetch(where: Address, target: str) -> dict[str, Any]:
    """The JSON object at `target` of an admin listener. Raises `WwsError` when there is none."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(where.host, where.host)  # noqa: S104 - asked here, wherever it listens
    connection = _Unix(where.unix) if where.unix is not None else HTTPConnection(host, where.port, timeout=PATIENCE)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise WwsError(f"no gateway answers at {where}: {reason}. Is `wws serve` running with this project?") from None
    finally:
        connection.close()
    if response.status != 200:
        raise WwsError(f"{where} answered {response.status}: {body[:200].decode(errors='replace').strip()}")
    try:
        fields = jsonlib.loads(body)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise WwsError(f"what answers at {where} is no admin listener of WWS")
    return fields


def _show(fields: dict[str, Any]) -> None:
    reloads, store = fields["reloads"], fields["store"]
    print_line(f"{fields['name']}  wws {fields['wws']}, configuration {fields['version']}")
    print_line(f"  listen     {fields['listen']}")
    print_line(f"  store      {store.get('kind', 'unknown')}, {store.get('consistency') or 'consistency unknown'}")
    print_line(f"  degraded   {', '.join(fields['degraded']) or 'nothing'}")
    print_line(f"  restarts   {fields['restarts']}")
    print_line(f"  reloads    {reloads['ok']} done, {reloads['error']} refused{_last(reloads['last'])}")
    print_line()
    print_table(
        ("worker", "pid", "state", "uptime", "in flight", "connections", "upstream", "restarts"),
        [_worker(worker) for worker in fields["workers"]],
    )
    if fields["upstreams"]:
        print_line()
        print_table(
            ("provider", "model", "breaker", "quota", "cause", "again in", "places"),
            [_route(route) for route in fields["upstreams"]],
        )
    if reloads["last"] is not None and reloads["last"]["result"] == "error":
        for problem in reloads["last"]["problems"]:
            note(f"last reload: {problem}")


def _last(last: dict[str, Any] | None) -> str:
    return "" if last is None or last["result"] == "ok" else ", the last one refused"


def _worker(worker: dict[str, Any]) -> tuple[str, ...]:
    counts = [str(worker.get(name, "")) for name in ("in_flight", "connections", "upstream_connections", "restarts")]
    return str(worker["worker"]), str(worker["pid"]), worker["state"], f"{worker['uptime']:.0f} s", *counts


def _route(route: dict[str, Any]) -> tuple[str, ...]:
    places, again = route["places"], route["retry_in"]
    return (
        route["provider"],
        route["model"],
        route["breaker"],
        route["quota"],
        route["cause"] or "",
        "" if again is None else f"{again:.0f} s",
        "" if places is None else f"{places['in_use']} of {places['limit']}, {places['waiting']} waiting",
    )
