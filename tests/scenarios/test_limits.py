"""May they, now: limits that are exact whoever asks at once."""

from __future__ import annotations

from tests.e2e.ask import ask, hello
from tests.e2e.crowd import CROWD, crowd
from tests.e2e.neighbours import Neighbours
from tests.scenarios.hosts import Host


def test_a_crowd_is_admitted_exactly_to_the_limit(host: Host, around: Neighbours, token: str) -> None:
    assert crowd([host.url], "/five/things", [token]) == [{200: 5, 429: CROWD - 5}]
    assert around.origin.numbers["/five/things"] == 5


def test_a_burst_is_admitted_exactly_to_its_size(host: Host, around: Neighbours, token: str) -> None:
    statuses = [ask(host.url, "/burst/things", token=token).status for _ in range(4)]
    # One a second comes free: a host that takes longer than that for four requests would be given a fourth.
    assert statuses[:3] == [200] * 3
    assert around.origin.numbers["/burst/things"] == statuses.count(200)


def test_what_a_caller_is_told(host: Host, token: str) -> None:
    answers = [ask(host.url, "/five/things", token=token) for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    remaining = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert remaining == ["4", "3", "2", "1", "0", "0"]
    refused = answers[-1]
    assert refused.json["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 61  # a window of 60 parts: a request leaves it with the part it fell into
    assert refused.headers["ratelimit"].endswith(f";r=0;t={wait}")


def test_a_limit_is_for_an_endpoint_not_for_a_path(host: Host, token: str) -> None:
    statuses = [ask(host.url, f"/five/{number}?q={number}", token=token).status for number in range(6)]
    assert statuses == [200] * 5 + [429]
    assert ask(host.url, "/private/page", token=token).status == 200


def test_a_new_token_is_no_new_user(host: Host, around: Neighbours) -> None:
    statuses = [ask(host.url, "/five/things", token=around.supabase.mint(sub="the-same-user")).status for _ in range(6)]
    assert statuses.count(200) <= 5
    assert statuses[-1] == 429


def test_headers_of_the_client_change_nothing(host: Host, token: str) -> None:
    statuses = []
    for number in range(6):
        claims = {"X-Forwarded-For": f"10.0.0.{number}", "X-User-ID": f"user-{number}", "X-Real-IP": f"10.0.1.{number}"}
        statuses.append(ask(host.url, "/five/things", token=token, headers=claims).status)
    assert statuses == [200] * 5 + [429]


def test_a_failure_of_ours_is_not_counted(host: Host, token: str) -> None:
    def chat(model: str) -> int:
        return ask(host.url, "/five/v1/chat/completions", token=token, body=hello(model=model)).status

    assert [chat("hopeless") for _ in range(6)] == [502] * 6
    assert [chat("code") for _ in range(6)] == [200] * 5 + [429]
