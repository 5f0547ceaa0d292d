"""Who is it: sessions by signing key and by the auth server, API keys, and everything that only looks like one."""

from __future__ import annotations

import base64
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.ask import ask, hello
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import until
from tests.scenarios.hosts import Host

CHAT, PAGE = "/api/ai/chat", "/private/page"


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_a_session_by_signing_key(host: Host, around: Neighbours, alg: str) -> None:
    sub = str(uuid.uuid4())
    answer = ask(host.url, PAGE, token=around.supabase.mint(alg, sub=sub))
    assert (answer.status, answer.json["user"]) == (200, sub)
    assert around.supabase.calls["user"] == 0  # nobody was asked


def test_a_session_by_the_shared_secret(host: Host, around: Neighbours) -> None:
    sub = str(uuid.uuid4())
    token = around.supabase.mint("HS256", sub=sub)
    assert [ask(host.url, PAGE, token=token).json["user"] for _ in range(3)] == [sub] * 3
    assert around.supabase.calls["user"] == 1  # asked once, known from then on


def test_many_at_once_with_one_new_token(host: Host, around: Neighbours) -> None:
    token = around.supabase.mint("HS256")
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: ask(host.url, PAGE, token=token).status, range(20)))
    assert statuses == [200] * 20


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1_000_000_000},
        {"iss": "https://elsewhere.supabase.co/auth/v1"},
        {"aud": "anon"},
        {"sub": None},
        {"role": None},
        {"exp": None},
    ],
    ids=str,
)
def test_claims_that_are_not_good(host: Host, around: Neighbours, claims: dict[str, Any]) -> None:
    answer = ask(host.url, CHAT, token=around.supabase.mint(**claims), body=hello())
    assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
    assert not around.main.requests


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_another_key_under_the_same_name(host: Host, around: Neighbours, alg: str) -> None:
    assert ask(host.url, CHAT, token=around.supabase.mint(alg, key="forged"), body=hello()).status == 401


@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_no_algorithm_at_all(host: Host, around: Neighbours, signature: str) -> None:
    _, payload, _ = around.supabase.mint().split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    assert ask(host.url, CHAT, token=f"{header}.{payload}.{signature}", body=hello()).status == 401


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_token_with_one_part_changed(host: Host, around: Neighbours, at: int) -> None:
    parts = around.supabase.mint().split(".")
    middle = len(parts[at]) // 2
    parts[at] = parts[at][:middle] + ("A" if parts[at][middle] != "A" else "B") + parts[at][middle + 1 :]
    assert ask(host.url, CHAT, token=".".join(parts), body=hello()).status == 401


@pytest.mark.parametrize("role", ["anon", "service_role"])
def test_the_project_s_published_key_is_nobody(host: Host, around: Neighbours, role: str) -> None:
    assert ask(host.url, CHAT, token=around.supabase.anon_key(role), body=hello()).status == 401


def test_nothing_sent(host: Host) -> None:
    answer = ask(host.url, CHAT, body=hello())
    assert (answer.status, answer.json["error"]["code"]) == (401, "missing_credential")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer a b"])
def test_a_header_that_is_malformed(host: Host, value: str) -> None:
    assert ask(host.url, CHAT, body=hello(), headers={"Authorization": value}).status == 400


def test_a_bad_credential_is_refused_where_none_is_needed(host: Host, around: Neighbours) -> None:
    assert ask(host.url, "/open", token=around.supabase.mint(key="forged")).status == 401
    assert not around.origin.requests


# API keys


def test_an_api_key(host: Host) -> None:
    made = host.create_key("--scope", "*")
    assert made["key"].startswith("wws_live_")
    assert ask(host.url, PAGE, token=made["key"]).json["user"] == f"key:{made['id']}"
    assert ask(host.url, CHAT, body=hello(), headers={"X-Api-Key": made["key"]}).status == 200


def test_the_scopes_of_an_api_key(host: Host) -> None:
    key = host.create_key("--scope", "ai")["key"]
    assert ask(host.url, CHAT, token=key, body=hello()).status == 200
    refused = ask(host.url, PAGE, token=key)
    assert (refused.status, refused.json["code"]) == (403, "insufficient_scope")
    assert 'scope="origin"' in refused.headers["www-authenticate"]


def test_a_changed_api_key(host: Host) -> None:
    key: str = host.create_key()["key"]
    for at in (12, 25, len(key) - 1):
        changed = key[:at] + ("a" if key[at] != "a" else "b") + key[at + 1 :]
        assert ask(host.url, CHAT, token=changed, body=hello()).status == 401


# what the origin is told


def test_a_forged_identity_never_reaches_the_origin(host: Host, around: Neighbours) -> None:
    forged = {"X-User-ID": "admin", "x-user-role": "service_role", "X-User-Email": "root@example.com"}
    assert ask(host.url, "/open", headers=forged).json["user"] is None
    assert not {"x-user-id", "x-user-role", "x-user-email"} & set(around.origin.requests[-1].headers)


def test_the_verified_identity_does(host: Host, around: Neighbours) -> None:
    sub = str(uuid.uuid4())
    token = around.supabase.mint(sub=sub)
    assert ask(host.url, PAGE, token=token, headers={"X-User-ID": "admin"}).json["user"] == sub
    assert around.origin.requests[-1].headers["x-user-role"] == "authenticated"


# in the course of time


@pytest.mark.parametrize("alg", ["ES256", "HS256"])
def test_a_logout_is_seen_after_the_next_check(host: Host, around: Neighbours, alg: str) -> None:
    session_id = str(uuid.uuid4())
    token = around.supabase.mint(alg, session_id=session_id)
    assert ask(host.url, PAGE, token=token).status == 200
    around.supabase.logout(session_id)
    until(lambda: ask(host.url, PAGE, token=token).status == 401, "the refusal", 10.0)


def test_an_auth_server_that_is_down_ends_nobody_s_session(host: Host, around: Neighbours) -> None:
    known = around.supabase.mint("HS256")
    assert ask(host.url, PAGE, token=known).status == 200
    around.supabase.mode = "down"
    answer = ask(host.url, CHAT, token=around.supabase.mint("HS256"), body=hello())
    assert (answer.status, answer.json["error"]["code"]) == (503, "auth_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert ask(host.url, PAGE, token=known).status == 200
