"""Refusals: one status and one shape for each, wherever the gateway runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.ask import Answer, ask, hello
from tests.e2e.neighbours import Neighbours
from tests.scenarios.hosts import Host

CHAT = "/v1/chat/completions"


def problem(answer: Answer) -> tuple[int, str]:
    """Status and code, of a problem document (RFC 9457)."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json["status"], answer.headers["cache-control"]) == (answer.status, "no-store")
    return answer.status, answer.json["code"]


def error(answer: Answer) -> tuple[int, str]:
    """Status and code, of an error in OpenAI's shape."""
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    return answer.status, answer.json["error"]["code"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (400, "invalid_json")),
        (b"[]", (400, "invalid_json")),
        (b"\xff\xfe", (400, "invalid_json")),
        ({"messages": []}, (400, "invalid_request")),
        (hello(model="no-such-alias"), (404, "model_not_found")),
        (hello(model="nobody/model"), (404, "model_not_found")),
        (hello(model="main/context"), (400, "context_length_exceeded")),
        (hello(model="main/status-402"), (503, "provider_billing")),
        (hello(model="main/html"), (502, "provider_error")),
        (hello(model="main/status-401"), (502, "provider_auth_failed")),
    ],
    ids=str,
)
def test_of_an_ai_route(host: Host, token: str, body: Any, expected: tuple[int, str]) -> None:
    answer = ask(host.url, CHAT, token=token, body=body)
    assert error(answer) == expected
    assert b"upstream text" not in answer.body
    assert b"sk-planted" not in answer.body


def test_of_another_route(host: Host) -> None:
    assert problem(ask(host.url, "/private/page")) == (401, "missing_credential")


def test_a_method_that_a_path_does_not_take(host: Host) -> None:
    assert ask(host.url, "/read/7").json["method"] == "GET"
    refused = ask(host.url, "/read/7", "DELETE")
    assert problem(refused) == (405, "method_not_allowed")
    assert refused.headers["allow"] == "GET, HEAD"


def test_a_path_that_servers_read_in_different_ways(host: Host) -> None:
    assert problem(ask(host.url, "/open/%2e%2e/private"))[0] == 400


def test_an_origin_that_is_gone(host: Host, around: Neighbours) -> None:
    around.run(around.origin.stop())
    try:
        assert problem(ask(host.url, "/moment/gone-from-the-start")) == (502, "origin_unreachable")
    finally:
        around.run(around.origin.start(around.origin.port))
    assert ask(host.url, "/moment/back-again").status == 200


def test_a_provider_that_is_silent(host: Host, token: str) -> None:
    assert error(ask(host.url, CHAT, token=token, body=hello(model="main/silent"))) == (504, "provider_timeout")


def test_it_is_alive_and_ready(host: Host) -> None:
    assert ask(host.url, "/healthz").json == {"status": "ok"}
    assert ask(host.url, "/readyz").json["status"] == "ready"
