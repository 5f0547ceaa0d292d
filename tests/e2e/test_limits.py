"""Limits over HTTP: exact whoever asks at once, per user and endpoint, and fair to those whom we failed."""

from __future__ import annotations

import pytest

from tests.e2e.ask import ask, hello
from tests.e2e.conftest import Start
from tests.e2e.crowd import CROWD, crowd
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway
from tests.e2e.projects import SERVER, project


def test_a_crowd_is_admitted_exactly_to_the_limit(gateway: Gateway, around: Neighbours, token: str) -> None:
    assert crowd([gateway.url], "/five/things", [token]) == [{200: 5, 429: CROWD - 5}]
    assert around.origin.numbers["/five/things"] == 5


def test_two_users_have_a_limit_each(gateway: Gateway, around: Neighbours) -> None:
    users = [around.supabase.mint(), around.supabase.mint("HS256")]
    assert crowd([gateway.url], "/five/things", users) == [{200: 5, 429: CROWD - 5}] * 2


def test_two_processes_on_one_store_count_together(start: Start, around: Neighbours, token: str) -> None:
    first = start(project(around))
    second = start(project(around).replace("lmdb:./state", f"lmdb:{first.folder}/state"))
    assert crowd([first.url, second.url], "/five/things", [token]) == [{200: 5, 429: CROWD - 5}]


def test_a_restart_forgets_nothing(start: Start, around: Neighbours, token: str) -> None:
    gateway = start(project(around))
    assert [ask(gateway.url, "/five/things", token=token).status for _ in range(3)] == [200] * 3
    assert gateway.stop() == 0
    gateway.start()
    assert [ask(gateway.url, "/five/things", token=token).status for _ in range(3)] == [200, 200, 429]


def test_what_a_caller_is_told(gateway: Gateway, around: Neighbours, token: str) -> None:
    answers = [ask(gateway.url, "/five/things", token=token) for _ in range(6)]
    remaining = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert remaining == ["4", "3", "2", "1", "0", "0"]
    refused = answers[-1]
    assert refused.status == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert refused.json["detail"] == "The limit is 5 requests in 60 s. Try again after the time in Retry-After."
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 61  # a window of 60 parts: a request leaves it with the part it fell into
    assert refused.headers["ratelimit"].endswith(f";r=0;t={wait}")


def test_a_limit_is_for_an_endpoint_not_for_a_path(gateway: Gateway, around: Neighbours, token: str) -> None:
    statuses = [ask(gateway.url, f"/five/{number}?q={number}", token=token).status for number in range(6)]
    assert statuses == [200] * 5 + [429]
    assert ask(gateway.url, "/private/page", token=token).status == 200  # another endpoint is not touched by it


def test_a_new_token_is_no_new_user(gateway: Gateway, around: Neighbours) -> None:
    statuses = [ask(gateway.url, "/five/things", token=around.supabase.mint(sub="the-same-user")).status for _ in range(6)]
    assert statuses == [200] * 5 + [429]


def test_headers_of_the_client_change_nothing(gateway: Gateway, around: Neighbours, token: str) -> None:
    statuses = []
    for number in range(6):
        claims = {"X-Forwarded-For": f"10.0.0.{number}", "X-User-ID": f"user-{number}", "X-Real-IP": f"10.0.1.{number}"}
        statuses.append(ask(gateway.url, "/five/things", token=token, headers=claims).status)
    assert statuses == [200] * 5 + [429]


def test_a_failure_of_ours_is_not_counted(gateway: Gateway, around: Neighbours, token: str) -> None:
    def chat(model: str) -> int:
        return ask(gateway.url, "/five/v1/chat/completions", token=token, body=hello(model=model)).status

    assert [chat("hopeless") for _ in range(6)] == [502] * 6
    assert [chat("code") for _ in range(6)] == [200] * 5 + [429]


@pytest.mark.parametrize("guess", ["eyJhbGciOiJub25lIn0.e30.", "wws_live_guess", "sb_publishable_x"])
def test_guessing_is_limited_by_address(start: Start, around: Neighbours, token: str, guess: str) -> None:
    gateway = start(project(around, limits='[limits]\ndefault = "1000/min"\naddress = "3/min"\n'))
    assert ask(gateway.url, "/private/page", token=token).status == 200
    statuses = [ask(gateway.url, "/private/page", token=guess).status for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert ask(gateway.url, "/healthz").status == 200


def test_behind_a_proxy_it_is_the_client_s_address_that_counts(start: Start, around: Neighbours) -> None:
    limits = '[limits]\ndefault = "2/min"\naddress = "2/min"\n'
    gateway = start(project(around, limits=limits, server=SERVER + 'trusted_proxies = ["127.0.0.0/8"]\n'))

    def seen_from(address: str, token: str | None = None) -> int:
        return ask(gateway.url, "/open", token=token, headers={"X-Forwarded-For": address}).status

    assert [seen_from("192.0.2.1", "wws_live_guess") for _ in range(4)] == [401, 401, 429, 429]
    assert [seen_from("192.0.2.2") for _ in range(3)] == [200, 200, 429]
    assert [seen_from("192.0.2.2, 192.0.2.3") for _ in range(3)] == [200, 200, 429]  # the last hop is who came to the proxy
    assert around.origin.requests[-1].headers["x-forwarded-for"] == "192.0.2.3"
