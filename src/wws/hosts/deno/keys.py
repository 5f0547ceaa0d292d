"""API keys of a deployment on Deno: `deno task keys`, which works on the same database as the gateway, from beside it."""

from __future__ import annotations

import json
import secrets
from argparse import ArgumentParser
from collections.abc import Sequence

from wws.bindings import Env
from wws.core.auth.apikey import DEFAULT_SCOPES
from wws.errors import StoreError
from wws.functions.auth_admin import create_key, list_keys, revoke_key

__all__ = ["run"]


async def run(env: Env, arguments: Sequence[str]) -> tuple[int, str]:
    """One command, as `wws keys` has them: the status to end with, and what to print, which is JSON but for an error."""
    parser = ArgumentParser("deno task keys", exit_on_error=False, add_help=False)
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", exit_on_error=False, add_help=False)
    create.add_argument("--name", required=True)
    create.add_argument("--scope", action="append")
    create.add_argument("--days", type=float)
    commands.add_parser("list", exit_on_error=False, add_help=False)
    commands.add_parser("revoke", exit_on_error=False, add_help=False).add_argument("id")
    try:
        given = parser.parse_args(list(arguments))
        return await {"create": _create, "list": _list, "revoke": _revoke}[given.command](env, given)
    except (SystemExit, Exception) as error:
        if isinstance(error, StoreError | ValueError):
            return 1, f"error: {error}"
        usage = "create --name NAME [--scope WORD ...] [--days N] | list | revoke ID"
        return 2, f"error: {error}; write: deno task keys {usage}"


async def _create(env: Env, given: object) -> tuple[int, str]:
    name, scopes, days = (getattr(given, member) for member in ("name", "scope", "days"))
    seconds = None if days is None else days * 86400
    made = await create_key(env, name, tuple(scopes or DEFAULT_SCOPES), seconds, random=secrets.token_bytes)
    return 0, json.dumps({"id": made[0], "key": made[1]})


async def _list(env: Env, given: object) -> tuple[int, str]:
    shown = [{name: value for name, value in one._asdict().items() if name != "hash"} for one in await list_keys(env)]
    return 0, json.dumps(shown)


async def _revoke(env: Env, given: object) -> tuple[int, str]:
    key_id: str = given.id  # type: ignore[attr-defined]
    if await revoke_key(env, key_id):
        return 0, json.dumps({"id": key_id, "revoked": True})
    return 1, f"error: there is no key {key_id}"
