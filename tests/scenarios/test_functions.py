"""The project's own functions: bindings, middlewares, parameters, streams, and failures that tell nothing."""

from __future__ import annotations

import pytest

from tests.e2e.ask import ask
from tests.e2e.program import until
from tests.scenarios.hosts import Host


def test_a_function_with_its_bindings(host: Host) -> None:
    first, second = ask(host.url, "/fn/hello"), ask(host.url, "/fn/hello?name=you")
    assert {**first.json, "visits": None} == {"hello": "world", "visits": None, "at": "eu", "token": "t-1"}
    assert (second.json["hello"], second.json["visits"]) == ("you", first.json["visits"] + 1)


def test_a_function_knows_who_asks(host: Host, token: str) -> None:
    assert ask(host.url, "/fn/me").status == 401
    answer = ask(host.url, "/fn/me", token=token)
    assert (answer.status, answer.json["request"]) == (200, answer.headers["x-request-id"])


def test_work_behind_an_answer(host: Host, token: str) -> None:
    target = f"/fn/later?key={token[-12:]}"
    assert ask(host.url, target).body == b"nothing yet"
    until(lambda: ask(host.url, target).body == b"put behind the answer", "what was put")


def test_middlewares_parameters_and_methods(host: Host) -> None:
    answer = ask(host.url, "/fn/api/42")
    assert (answer.body, answer.headers["x-middleware"]) == (b"42!", "was here")
    refused = ask(host.url, "/fn/api/42", "POST", body={})
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert ask(host.url, "/fn/files/a/b%20c").json == {"rest": "a/b c"}
    assert ask(host.url, "/fn/echo", body={"a": 1}).json == {"got": {"a": 1}}


def test_a_stream_of_a_function(host: Host) -> None:
    answer = ask(host.url, "/fn/counting")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.body == b'data: {"n":0}\n\ndata: {"n":1}\n\ndata: {"n":2}\n\n'


def test_a_file_that_draws_a_number_when_it_is_imported(host: Host) -> None:
    answer = ask(host.url, "/fn/chance")
    assert answer.status == 200, answer.body
    assert len(answer.body) == 8


@pytest.mark.parametrize("path", ["/fn/raises", "/fn/imports"])
def test_what_fails_tells_nothing(host: Host, path: str) -> None:
    answer = ask(host.url, path)
    assert answer.status == 500
    assert b"secret key" not in answer.body
    assert b"at import" not in answer.body
    assert ask(host.url, "/fn/api/1").status == 200
