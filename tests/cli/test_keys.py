from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.cli.run import process, wws
from tests.support.services import make_env
from wws.bindings import Env, Secrets
from wws.cli.store import opened
from wws.core.auth.apikey import used_key
from wws.functions.auth_guard import auth_guard
from wws.http import Request
from wws.stores.memory import MemoryStore

KEY = re.compile(r"wws_live_[0-9A-Za-z]{11}_[0-9A-Za-z]{33}_[0-9a-f]{8}")


@pytest.fixture
def project(folder: Path) -> Path:
    wws("init")
    return folder


async def accepted(env: Env, key: str) -> bool:
    request = Request("POST", "/api/ai/chat", {"authorization": f"Bearer {key}"})
    return (await auth_guard(request, env)).valid


def works(key: str) -> bool:
    """Whether the gateway, opening the same store, takes the key."""
    with opened(None) as env:
        return asyncio.run(accepted(env, key))


def test_create_list_revoke_as_a_user_does(project: Path) -> None:
    made = process("keys", "create", "--name", "n8n", "--json", cwd=project)
    assert made.status == 0
    assert KEY.fullmatch(made.json["key"])
    assert made.json["id"] in made.json["key"]
    assert (made.json["name"], made.json["scopes"], made.json["expires_at"]) == ("n8n", ["ai", "origin", "function"], None)
    assert works(made.json["key"])
    assert [one["id"] for one in process("keys", "list", "--json", cwd=project).json] == [made.json["id"]]
    assert process("keys", "revoke", made.json["id"], cwd=project).out == f"revoked {made.json['id']}\n"
    assert process("keys", "list", "--json", cwd=project).json == []
    assert not works(made.json["key"])


def test_the_key_is_shown_once_alone_on_standard_output(project: Path) -> None:
    done = wws("keys", "create", "--name", "me")
    assert KEY.fullmatch(done.out.strip())
    assert "shown only now" in done.err
    key = done.out.strip()
    assert key not in done.err
    listed = wws("keys", "list")
    assert key.split("_")[3] not in listed.out
    stored = b"".join([file.read_bytes() for file in (project / ".wws" / "state").iterdir() if file.name.startswith("kv")])
    assert key.split("_")[2].encode() in stored
    assert key.split("_")[3].encode() not in stored


def test_scopes_and_expiry(project: Path) -> None:
    made = wws("keys", "create", "--name", "n", "--scope", "ai", "--scope", "orders", "--expires-in", "90d", "--json").json
    assert made["scopes"] == ["ai", "orders"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["expires_at"])
    assert made["expires_at"] > made["created_at"]


def test_the_list_for_people(project: Path) -> None:
    wws("keys", "create", "--name", "first")
    wws("keys", "create", "--name", "second", "--scope", "ai", "--expires-in", "1h")
    rows = [line.split("\t") for line in wws("keys", "list").out.splitlines()]
    assert [(row[1], row[2]) for row in rows] == [("first", "ai origin function"), ("second", "ai")]
    assert rows[0][4] == "never"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", rows[1][4])
    assert [row[5] for row in rows] == ["never", "never"]


def test_when_a_key_was_last_used(project: Path) -> None:
    """As a gateway has written it."""
    made = wws("keys", "create", "--name", "n8n", "--json").json
    assert wws("keys", "list", "--json").json[0]["last_used_at"] is None
    with opened(None) as env:
        asyncio.run(env.wws.kv.put(used_key(made["id"]), b"1790000000", durable=True))
    assert wws("keys", "list", "--json").json[0]["last_used_at"] == "2026-09-21T14:13:20Z"
    assert wws("keys", "list").out.rstrip().endswith("2026-09-21 14:13")
    wws("keys", "revoke", made["id"])
    with opened(None) as env:
        assert asyncio.run(env.wws.kv.get(used_key(made["id"]))) is None


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ((), 2, "--name"),
        (("--name", "n", "--expires-in", "soon"), 2, "not a duration"),
        (("--name", "n", "--expires-in", "0s"), 1, "more than 0 seconds"),
        (("--name", ""), 1, "printable characters"),
        (("--name", "n", "--scope", "two words"), 1, "scope"),
    ],
)
def test_what_cannot_be_created(project: Path, arguments: tuple[str, ...], status: int, told: str) -> None:
    done = wws("keys", "create", *arguments)
    assert (done.status, done.out) == (status, "")
    assert told in done.err
    assert wws("keys", "list", "--json").json == []


def test_an_unknown_key_cannot_be_revoked(project: Path) -> None:
    done = wws("keys", "revoke", "nope")
    assert (done.status, done.out) == (1, "")
    assert "there is no key nope" in done.err
    assert wws("keys", "revoke", "nope", "--json").json["error"]["message"].startswith("there is no key nope")


def test_a_store_nobody_else_sees_is_refused(folder: Path) -> None:
    text = '[kv]\nstore = "memory:"\n[origin]\nurl = "http://127.0.0.1:1"\n'
    (folder / "wws.toml").write_text(text)
    done = wws("keys", "create", "--name", "n")
    assert done.status == 1
    assert 'kv.store: found "memory:", which no other process sees; allowed: "lmdb:FOLDER"' in done.err


def test_without_a_file_nothing_is_made(folder: Path) -> None:
    assert wws("keys", "create", "--name", "n").status == 1
    assert list(folder.iterdir()) == []


def test_a_store_that_cannot_be_opened_is_told(project: Path) -> None:
    (project / ".wws").write_text("in the way")
    done = wws("keys", "list")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


def test_a_key_for_a_platform_is_printed_with_its_entry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WWS_PEPPER", raising=False)
    refused = process("keys", "create", "--name", "n8n", "--record", cwd=folder)
    assert (refused.status, refused.out) == (1, "")
    assert "WWS_PEPPER" in refused.err
    pepper = "p" * 32
    monkeypatch.setenv("WWS_PEPPER", pepper)
    made = process("keys", "create", "--name", "n8n", "--record", "--json", cwd=folder)
    assert made.status == 0
    entry, store = made.json["kv"], MemoryStore()
    assert made.json["key"] not in entry["value"]

    async def there() -> bool:
        await store.put(entry["name"], entry["value"])
        return await accepted(make_env(kv=store, secrets=Secrets(pepper.encode())), made.json["key"])

    assert asyncio.run(there())
