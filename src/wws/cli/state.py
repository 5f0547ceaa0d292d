"""`wws state export`, `import` and `stats`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, cast

import typer

from wws.bindings import Env
from wws.cli.options import Config, Json, command
from wws.cli.output import note, print_json, print_line, print_table
from wws.cli.store import opened
from wws.stores import WholeStore
from wws.stores.state_file import GROUPS, Group, Imported, checked, export_state, group_of, import_state, records

app = command()
File = Annotated[Path, typer.Argument(metavar="FILE", help="The file.", show_default=False)]


@app.callback()
def state() -> None:
    """What the store keeps: API keys, revocations, sessions, KV namespaces. All of it works beside a running gateway.

    \b
    Example:
      wws state stats
    """


@app.command()
def export(file: File, config: Config = None, json: Json = False) -> None:
    """Write all values into a new file. API keys and sessions are in it as digests only; the pepper that keys them is not.

    \b
    Example:
      wws state export state.jsonl
    """
    with opened(config) as env:
        count = asyncio.run(export_state(_store(env), file, env.wws.secrets.pepper, env.wws.clock))
    if json:
        print_json({"file": str(file), "records": count, "bytes": file.stat().st_size})
        return
    print_line(f"wrote {_records(count)} to {file}")
    note("Whoever reads it into another store needs the same WWS_PEPPER, or the file `pepper` of this store.")


@app.command("import")
def import_(
    file: File,
    check: Annotated[bool, typer.Option("--check", help="Only look whether the file is good.", show_default=False)] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Read a file of `wws state export` into the store. The whole file is checked first; what is in the store already stays.

    \b
    Example:
      wws state import state.jsonl
    """
    with opened(config) as env:
        pepper = env.wws.secrets.pepper
        if check:
            count = checked(file, pepper)
            done = Imported(0, 0, 0)
        else:
            done = asyncio.run(import_state(_store(env), file, pepper, env.wws.clock))
            count = sum(done)
    if json:
        print_json({"file": str(file), "records": count, **done._asdict()})
    elif check:
        print_line(f"{file} is good: {_records(count)}")
    else:
        print_line(f"wrote {_records(done.written)}; {done.present} were there already, {done.expired} had expired")


@app.command()
def stats(config: Config = None, json: Json = False) -> None:
    """How many records there are, and the room they take.

    \b
    Example:
      wws state stats --json
    """
    with opened(config) as env:
        store = _store(env)
        groups = asyncio.run(_groups(store))
        files = [{"file": name, "used": used, "size": size} for name, used, size in _files(store)]
    if json:
        print_json({"records": [group._asdict() for group in groups], "files": files})
        return
    print_table(("what", "records", "bytes"), [(one.name, str(one.records), str(one.bytes)) for one in groups])
    if files:
        rows = [(str(one["file"]), str(one["used"]), str(one["size"]), _share(one)) for one in files]
        print_table(("file", "bytes used", "of", "full"), rows)


async def _groups(store: WholeStore) -> list[Group]:
    sums = {name: [0, 0] for _, name in GROUPS}
    async for key, kept in records(store):
        found = sums[group_of(key)]
        found[0] += 1
        found[1] += len(key.encode()) + len(kept.value)
    return [Group(name, count, size) for name, (count, size) in sums.items()]


def _files(store: WholeStore) -> tuple[tuple[str, int, int], ...]:
    """Of a store that has files."""
    files = getattr(store, "files", None)
    return () if files is None else files()


def _share(file: dict[str, object]) -> str:
    return f"{100 * cast(int, file['used']) / cast(int, file['size']):.1f} %"


def _records(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"


def _store(env: Env) -> WholeStore:
    return cast(WholeStore, env.wws.kv)
