"""`wws keys create`, `list` and `revoke`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import typer

from wws.bindings import Env
from wws.cli.options import Config, Json, command
from wws.cli.output import fail, note, print_json, print_line, print_table
from wws.cli.store import opened, unstored
from wws.core.auth.apikey import DEFAULT_SCOPES, KeyRecord, record_key
from wws.functions.auth_admin import create_key, last_used, list_keys, revoke_key
from wws.project import durations

app = command()


@app.callback()
def keys() -> None:
    """API keys for machines: create, list and revoke them. They work at once, in a running gateway too.

    \b
    Example:
      wws keys create --name n8n
    """


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What the key is for.", show_default=False)],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="WORD",
            help=f"What it allows; repeat it. Default: {', '.join(DEFAULT_SCOPES)}.",
            show_default=False,
        ),
    ] = None,
    expires_in: Annotated[
        str | None,
        typer.Option("--expires-in", metavar="DURATION", help="Such as 90d; never when not given.", show_default=False),
    ] = None,
    record: Annotated[
        bool,
        typer.Option(
            "--record", help="Store it nowhere, and print the entry for a platform's KV; needs WWS_PEPPER.", show_default=False
        ),
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Create an API key. It is shown this once; only a keyed digest of it is stored.

    \b
    Example:
      wws keys create --name n8n --scope ai --expires-in 90d --json
    """
    try:
        seconds = None if expires_in is None else durations.seconds(expires_in)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--expires-in") from None
    try:
        with nullcontext(unstored()) if record else opened(config) as env:
            made = create_key(env, name, tuple(scope or DEFAULT_SCOPES), seconds, random=secrets.token_bytes)
            text, stored, entry = asyncio.run(_created(env, made))
    except ValueError as error:
        raise typer.Exit(fail(str(error), as_json=json)) from None
    kv = {"kv": entry._asdict()} if record else {}
    if json:
        print_json({"id": stored.id, "key": text, **_fields(stored), **kv})
        return
    print_line(text)
    note(f"This is key {stored.id} for {stored.name}. It is shown only now: keep it where secrets are kept.")
    if record:
        note("It counts once this stands in the KV namespace WWS_KV, whose ID `wrangler kv namespace list` tells:")
        note(f"wrangler kv key put --remote --namespace-id ID {entry.name} '{entry.value}'")


class _Entry(NamedTuple):
    """What a key is in the store."""

    name: str
    value: str


async def _created(env: Env, made: Coroutine[Any, Any, tuple[str, str, KeyRecord]]) -> tuple[str, KeyRecord, _Entry]:
    """The key's text, its record, and its entry in the store."""
    _, text, record = await made
    name = record_key(record.id)
    return text, record, _Entry(name, (await env.wws.kv.get(name) or b"").decode())


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """List the keys that are not revoked, oldest first; the keys themselves are not known to the gateway.

    \b
    Example:
      wws keys list
    """
    with opened(config) as env:
        found = asyncio.run(_listed(env))
    if json:
        print_json([{"id": record.id, **_fields(record), "last_used_at": _time(used)} for record, used in found])
        return
    columns = ("id", "name", "scopes", "created", "expires", "last used")
    rows = [
        (one.id, one.name, " ".join(one.scopes), _day(one.created_at), _day(one.expires_at), _day(used)) for one, used in found
    ]
    print_table(columns, rows)


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `wws keys list` shows it.", show_default=False)],
    config: Config = None,
    json: Json = False,
) -> None:
    """End a key at once and for good.

    \b
    Example:
      wws keys revoke 4fXk2p9QmZa
    """
    with opened(config) as env:
        revoked = asyncio.run(revoke_key(env, id))
    if not revoked:
        raise typer.Exit(fail(f"there is no key {id}; `wws keys list` shows those there are", as_json=json))
    if json:
        print_json({"id": id, "revoked": True})
    else:
        print_line(f"revoked {id}")


async def _listed(env: Env) -> list[tuple[KeyRecord, float | None]]:
    return [(record, await last_used(env, record.id)) for record in await list_keys(env)]


def _fields(record: KeyRecord) -> dict[str, object]:
    return {
        "name": record.name,
        "scopes": list(record.scopes),
        "created_at": _time(record.created_at),
        "expires_at": _time(record.expires_at),
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def _day(seconds: float | None) -> str:
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
