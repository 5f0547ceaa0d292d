"""API keys: made, scoped and revoked by the command line while the gateway runs."""

from __future__ import annotations

import json

from tests.e2e.ask import ask, hello
from tests.e2e.conftest import Start
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until
from tests.e2e.projects import project

CHAT = "/api/ai/chat"


def test_a_key_works_at_once_and_until_it_is_revoked(gateway: Gateway) -> None:
    made = gateway.create_key()
    assert made["key"].startswith("wws_live_")
    answer = ask(gateway.url, CHAT, token=made["key"], body=hello())
    assert answer.status == 200
    assert gateway.logged(answer.headers["x-request-id"])["key_id"] == made["id"]
    listed = json.loads(gateway.run("keys", "list", "--json").out)
    assert [key["name"] for key in listed if key["id"] == made["id"]] == ["test"]
    assert made["key"] not in json.dumps(listed)
    assert gateway.run("keys", "revoke", made["id"]).status == 0
    refused = ask(gateway.url, CHAT, token=made["key"], body=hello())
    assert (refused.status, refused.json["error"]["code"]) == (401, "invalid_api_key")
    again = gateway.run("keys", "revoke", made["id"])
    assert (again.status, again.err) == (1, f"error: there is no key {made['id']}; `wws keys list` shows those there are\n")


def test_a_key_in_anthropic_s_header(gateway: Gateway) -> None:
    key = gateway.create_key()["key"]
    assert ask(gateway.url, CHAT, body=hello(), headers={"X-Api-Key": key}).status == 200
    twice = ask(gateway.url, CHAT, token="other", body=hello(), headers={"X-Api-Key": key})
    assert (twice.status, twice.json["error"]["message"]) == (400, "Two different credentials were sent. Send one.")


def test_scopes(gateway: Gateway, around: Neighbours) -> None:
    ai = gateway.create_key("--scope", "ai")["key"]
    origin = gateway.create_key("--scope", "origin")["key"]
    assert ask(gateway.url, CHAT, token=ai, body=hello()).status == 200
    refused = ask(gateway.url, "/private/page", token=ai)
    assert (refused.status, refused.json["code"]) == (403, "insufficient_scope")
    assert 'scope="origin"' in refused.headers["www-authenticate"]
    assert ask(gateway.url, "/private/page", token=origin).status == 200
    assert ask(gateway.url, CHAT, token=origin, body=hello()).status == 403
    assert len(around.main.requests) == 1


def test_a_key_is_told_to_the_origin_as_what_it_is(gateway: Gateway) -> None:
    made = gateway.create_key("--scope", "*")
    assert ask(gateway.url, "/private/page", token=made["key"]).json["user"] == f"key:{made['id']}"


def test_a_key_expires(gateway: Gateway) -> None:
    key = gateway.create_key("--expires-in", "3s")["key"]
    assert ask(gateway.url, CHAT, token=key, body=hello()).status == 200
    until(lambda: ask(gateway.url, CHAT, token=key, body=hello()).status == 401, "the end of the key", 10.0)


def test_a_changed_key_is_refused(gateway: Gateway) -> None:
    key: str = gateway.create_key()["key"]
    for at in (12, 25, len(key) - 1):
        changed = key[:at] + ("a" if key[at] != "a" else "b") + key[at + 1 :]
        assert ask(gateway.url, CHAT, token=changed, body=hello()).status == 401


def test_a_key_outlives_a_restart(start: Start, around: Neighbours) -> None:
    gateway = start(project(around))
    key = gateway.create_key()["key"]
    assert gateway.stop() == 0
    gateway.start()
    assert ask(gateway.url, CHAT, token=key, body=hello()).status == 200


def test_a_store_in_memory_has_no_keys_for_another_process(start: Start, around: Neighbours) -> None:
    gateway = start(project(around).replace("lmdb:./state", "memory:"))
    ran = gateway.run("keys", "create", "--name", "n8n")
    assert ran.status == 1
    assert "no other process sees" in ran.err
    assert ask(gateway.url, "/healthz").status == 200
