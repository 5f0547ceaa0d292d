"""Supabase sessions through a running gateway: who is let in, what it costs, when a logout is seen, what the origin is told."""

from __future__ import annotations

import base64
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.ask import ask, hello
from tests.e2e.conftest import Start
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until
from tests.e2e.projects import project

CHAT = "/api/ai/chat"


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_a_session_by_signing_key(gateway: Gateway, around: Neighbours, alg: str) -> None:
    sub = str(uuid.uuid4())
    answer = ask(gateway.url, "/private/page", token=around.supabase.mint(alg, sub=sub))
    assert answer.status == 200
    assert answer.json["user"] == sub
    assert around.supabase.calls["user"] == 0  # nobody was asked


def test_a_session_by_the_shared_secret(gateway: Gateway, around: Neighbours) -> None:
    sub = str(uuid.uuid4())
    token = around.supabase.mint("HS256", sub=sub)
    assert ask(gateway.url, "/private/page", token=token).json["user"] == sub
    assert around.supabase.calls["user"] == 1
    asked = around.supabase.requests[-1]
    assert asked["apikey"] == around.supabase.publishable_key


def test_a_known_session_asks_nobody(gateway: Gateway, around: Neighbours) -> None:
    token = around.supabase.mint("HS256")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(gateway.url, CHAT, token=token, body=hello()), range(20)))
    assert {answer.status for answer in answers} == {200}
    assert around.supabase.calls["user"] == 1  # twenty at once, one question


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
def test_claims_that_are_not_good(gateway: Gateway, around: Neighbours, claims: dict[str, Any]) -> None:
    answer = ask(gateway.url, CHAT, token=around.supabase.mint(**claims), body=hello())
    assert answer.status == 401
    assert answer.json["error"]["code"] == "invalid_api_key"
    assert not around.main.requests


def test_another_key_under_the_same_name(gateway: Gateway, around: Neighbours) -> None:
    assert ask(gateway.url, CHAT, token=around.supabase.mint(key="forged"), body=hello()).status == 401


@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_no_algorithm_at_all(gateway: Gateway, around: Neighbours, signature: str) -> None:
    _, payload, _ = around.supabase.mint().split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    assert ask(gateway.url, CHAT, token=f"{header}.{payload}.{signature}", body=hello()).status == 401


@pytest.mark.parametrize("role", ["anon", "service_role"])
def test_the_project_s_published_key_is_nobody(gateway: Gateway, around: Neighbours, role: str) -> None:
    """The anon key has a good signature and is in every browser."""
    answer = ask(gateway.url, CHAT, token=around.supabase.anon_key(role), body=hello())
    assert answer.status == 401
    assert not around.main.requests


def test_the_publishable_key_is_explained(gateway: Gateway, around: Neighbours) -> None:
    answer = ask(gateway.url, CHAT, token=around.supabase.publishable_key, body=hello())
    assert answer.status == 401
    assert "names a project and not a user" in answer.json["error"]["message"]


def test_nothing_sent(gateway: Gateway, around: Neighbours) -> None:
    answer = ask(gateway.url, CHAT, body=hello())
    assert (answer.status, answer.json["error"]["code"]) == (401, "missing_credential")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer a b", "Bearer \x7f"])
def test_a_header_that_is_malformed(gateway: Gateway, around: Neighbours, value: str) -> None:
    assert ask(gateway.url, CHAT, body=hello(), headers={"Authorization": value}).status == 400


# the origin


def test_a_forged_identity_never_reaches_the_origin(gateway: Gateway, around: Neighbours) -> None:
    forged = {
        "X-User-ID": "admin",
        "x-user-role": "service_role",
        "X-User-Email": "root@example.com",
        "X-Forwarded-For": "1.1.1.1",
    }
    assert ask(gateway.url, "/open", headers=forged).json["user"] is None
    seen = around.origin.requests[-1].headers
    assert not {"x-user-id", "x-user-role", "x-user-email"} & set(seen)
    assert seen["x-forwarded-for"] == "127.0.0.1"


def test_the_verified_identity_does(gateway: Gateway, around: Neighbours) -> None:
    sub = str(uuid.uuid4())
    answer = ask(gateway.url, "/private/page", token=around.supabase.mint(sub=sub), headers={"X-User-ID": "admin"})
    assert answer.json["user"] == sub
    assert around.origin.requests[-1].headers["x-user-role"] == "authenticated"


def test_a_forged_identity_hidden_by_the_connection_header(gateway: Gateway, around: Neighbours) -> None:
    """A client may not have the gateway's own word dropped by naming it hop-by-hop."""
    sub = str(uuid.uuid4())
    fields = {"Connection": "close, X-User-ID", "X-User-ID": "admin"}
    assert ask(gateway.url, "/private/page", token=around.supabase.mint(sub=sub), headers=fields).json["user"] == sub


def test_a_bad_credential_is_refused_where_none_is_needed(gateway: Gateway, around: Neighbours) -> None:
    answer = ask(gateway.url, "/open", token=around.supabase.mint(key="forged"))
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert not around.origin.requests


# in the course of time


@pytest.mark.parametrize("alg", ["ES256", "HS256"])
def test_a_logout_is_seen_after_the_next_check(gateway: Gateway, around: Neighbours, alg: str) -> None:
    session_id = str(uuid.uuid4())
    token = around.supabase.mint(alg, session_id=session_id)
    other = around.supabase.mint(alg, session_id=session_id, iat=int(time.time()) - 5)
    assert ask(gateway.url, "/private/page", token=token).status == 200
    around.supabase.logout(session_id)
    until(lambda: ask(gateway.url, "/private/page", token=token).status == 401, "the refusal", 10.0)
    assert ask(gateway.url, "/private/page", token=other).status == 401  # of the same session, never seen before


def test_a_deleted_user_is_seen_after_the_next_check(gateway: Gateway, around: Neighbours) -> None:
    sub = str(uuid.uuid4())
    token = around.supabase.mint(sub=sub)
    assert ask(gateway.url, "/private/page", token=token).status == 200
    around.supabase.delete_user(sub)
    until(lambda: ask(gateway.url, "/private/page", token=token).status == 401, "the refusal", 10.0)


def test_supabase_down_ends_nobody_s_session(gateway: Gateway, around: Neighbours) -> None:
    known = around.supabase.mint("HS256")
    assert ask(gateway.url, "/private/page", token=known).status == 200
    around.supabase.mode = "down"
    answer = ask(gateway.url, CHAT, token=around.supabase.mint("HS256"), body=hello())
    assert (answer.status, answer.json["error"]["code"]) == (503, "auth_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    asked = around.supabase.calls["user"]

    def checked() -> bool:
        assert ask(gateway.url, "/private/page", token=known).status == 200
        return around.supabase.calls["user"] > asked

    until(checked, "a check behind a request", 10.0)
    assert ask(gateway.url, "/private/page", token=known).status == 200
    around.supabase.mode = "ok"
    assert ask(gateway.url, CHAT, token=around.supabase.mint("HS256"), body=hello()).status == 200


@pytest.mark.parametrize("mode", ["down", "reset", "garbage"])
def test_supabase_away_from_the_start(start: Start, around: Neighbours, mode: str) -> None:
    around.supabase.mode = mode  # type: ignore[assignment]  # parametrize knows plain texts only
    gateway = start(project(around))
    answer = ask(gateway.url, CHAT, token=around.supabase.mint(), body=hello())
    assert (answer.status, answer.json["error"]["code"]) == (503, "auth_unavailable")
    key = gateway.create_key()["key"]
    assert ask(gateway.url, CHAT, token=key, body=hello()).status == 200  # nothing of Supabase is needed for it
    assert ask(gateway.url, "/healthz").status == 200


def test_purged_sessions_are_refused_in_the_running_gateway(gateway: Gateway, around: Neighbours) -> None:
    sub = str(uuid.uuid4())
    token = around.supabase.mint(sub=sub)
    assert ask(gateway.url, "/private/page", token=token).status == 200
    ran = gateway.run("sessions", "purge", "--user", sub, "--json")
    assert (ran.status, ran.out.split()) == (0, ["{", '"purged":', "1", "}"])
    assert ask(gateway.url, "/private/page", token=token).status == 401


def test_sessions_outlive_a_restart(start: Start, around: Neighbours) -> None:
    gateway = start(project(around))
    token = around.supabase.mint("HS256")
    assert ask(gateway.url, "/private/page", token=token).status == 200
    assert gateway.stop() == 0
    gateway.start()
    around.supabase.mode = "down"
    assert ask(gateway.url, "/private/page", token=token).status == 200


def test_a_route_that_is_asked_for_anew_each_time(gateway: Gateway, around: Neighbours) -> None:
    session_id = str(uuid.uuid4())
    token = around.supabase.mint(session_id=session_id)
    assert [ask(gateway.url, "/careful/page", token=token).status for _ in range(3)] == [200] * 3
    assert around.supabase.calls["user"] == 3
    around.supabase.logout(session_id)
    assert ask(gateway.url, "/careful/page", token=token).status == 401  # at once
    around.supabase.mode = "down"
    answer = ask(gateway.url, "/careful/page", token=around.supabase.mint())
    assert (answer.status, answer.json["code"]) == (503, "auth_unavailable")
