"""A browser's page on another origin calls the gateway: preflight, call, refusal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.ask import ask, hello
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway
from tests.e2e.projects import SECRETS, project

PAGE = "https://app.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Neighbours]]:
    with Neighbours() as around:
        toml = project(around) + f'\n[cors]\norigins = ["{PAGE}"]\n'
        with Gateway(tmp_path_factory.mktemp("pages"), toml, env=SECRETS) as started:
            yield started, around


def test_a_page_calls_the_chat_endpoint(gateway: tuple[Gateway, Neighbours]) -> None:
    started, around = gateway
    asked = ask(started.url, "/api/ai/chat", "OPTIONS", headers=PREFLIGHT)
    assert asked.status == 204
    assert asked.headers["access-control-allow-origin"] == PAGE
    assert asked.headers["access-control-allow-headers"] == "authorization,content-type"
    answer = ask(started.url, "/api/ai/chat", token=around.supabase.mint(), body=hello(), headers={"Origin": PAGE})
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "origin"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {name for name in answer.headers if name.startswith(("x-wws-", "x-ratelimit-", "ratelimit"))} <= set(exposed)


def test_a_page_reads_why_it_was_refused_and_another_page_nothing(gateway: tuple[Gateway, Neighbours]) -> None:
    started, _ = gateway
    refused = ask(started.url, "/api/ai/chat", body=hello(), headers={"Origin": PAGE})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, PAGE)
    other = {**PREFLIGHT, "Origin": "https://evil.test"}
    asked = ask(started.url, "/api/ai/chat", "OPTIONS", headers=other)
    assert (asked.status, asked.json["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in asked.headers


def test_the_origin_s_own_routes_are_left_to_the_origin(gateway: tuple[Gateway, Neighbours]) -> None:
    started, around = gateway
    around.origin.headers = {"access-control-allow-origin": "https://its-own.test"}
    answer = ask(started.url, "/page", headers={"Origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == "https://its-own.test"
