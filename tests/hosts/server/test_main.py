"""`wws serve` put together: what it writes while it serves and when it ends."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.ask import Answer, ask, hello
from tests.e2e.program import Gateway, until
from tests.e2e.projects import SERVER
from wws.core.policy import Policy
from wws.errors import ConfigError
from wws.hosts.server import main, serving
from wws.project.settings import Project, ServerSettings

PROJECT = """
[kv]
store = "lmdb:./state"
[providers.sandbox]
[models]
code = ["sandbox/coder"]
reasoning = ["sandbox/thinker"]
long_context = ["sandbox/reader"]
[limits]
"/api/ai/generate" = "2/min"
[[routes]]
path = "/api/ai/*"
to = "ai"
[[routes]]
path = "/v1/*"
to = "ai"
"""
CHAT = "/api/ai/chat"
Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(server: str = "", folder: str = "one") -> Gateway:
            return stack.enter_context(Gateway(tmp_path / folder, SERVER + server + PROJECT))

        yield begin


def usage(folder: Path) -> list[dict[str, Any]]:
    """The rows of the ledger, with the minutes added up."""
    connection = sqlite3.connect(folder / "state" / "ledger.sqlite")
    connection.row_factory = sqlite3.Row
    query = """SELECT key_id, route, provider, model, SUM(requests) AS requests, SUM(errors) AS errors, SUM(attempts) AS attempts,
        SUM(tokens_in) AS tokens_in, SUM(tokens_out) AS tokens_out
        FROM usage GROUP BY key_id, route, provider, model ORDER BY model"""
    rows = [dict(row) for row in connection.execute(query)]
    connection.close()
    return rows


def test_the_ledger_has_every_call_when_it_ends(start: Start) -> None:
    gateway = start()
    made = gateway.create_key("--scope", "ai")
    answers = [ask(gateway.url, CHAT, token=made["key"], body=hello(task="code")) for _ in range(3)]
    answers.append(ask(gateway.url, CHAT, token=made["key"], body=hello()))
    streamed = ask(gateway.url, CHAT, token=made["key"], body=hello(stream=True, stream_options={"include_usage": True}))
    assert ask(gateway.url, CHAT, body=hello()).status == 401  # costs nothing
    assert gateway.stop() == 0
    told = usage(gateway.folder)
    assert [(row["model"], row["requests"], row["errors"]) for row in told] == [("coder", 3, 0), ("thinker", 2, 0)]
    assert {(row["key_id"], row["route"], row["provider"]) for row in told} == {(made["id"], "/api/ai/*", "sandbox")}
    said = [json.loads(line[6:]) for line in streamed.body.decode().splitlines() if line.startswith("data: {")]
    tokens = [answer.json["usage"] for answer in answers] + [one["usage"] for one in said if one.get("usage")]
    assert len(tokens) == 5
    assert sum(row["tokens_in"] for row in told) == sum(one["prompt_tokens"] for one in tokens)
    assert sum(row["tokens_out"] for row in told) == sum(one["completion_tokens"] for one in tokens)
    assert sum(row["attempts"] for row in told) == 5


def test_the_ledger_goes_on_after_the_next_start(start: Start) -> None:
    gateway = start()
    key = gateway.create_key()["key"]
    for _ in range(2):
        assert ask(gateway.url, CHAT, token=key, body=hello(task="code")).status == 200
        assert gateway.stop() == 0
        gateway.start()
    assert [(row["model"], row["requests"]) for row in usage(gateway.folder)] == [("coder", 2)]


def metrics(gateway: Gateway) -> dict[str, Any]:
    """Family name to its samples, of text that a scraper takes."""
    answer = ask(gateway.admin_url, "/metrics")
    assert answer.status == 200
    return {family.name: family.samples for family in text_string_to_metric_families(answer.body.decode())}


def requests(found: dict[str, Any]) -> dict[tuple[str, str, str], float]:
    return {(one.labels["route"], one.labels["status"], one.labels["error_type"]): one.value for one in found["wws_requests"]}


def test_metrics_count_what_was_asked_and_do_not_grow_with_who_asks(start: Start) -> None:
    gateway = start()
    keys = [gateway.create_key("--scope", "ai")["key"] for _ in range(2)]
    for key in keys:
        assert ask(gateway.url, CHAT, token=key, body=hello(task="code")).status == 200
    before = metrics(gateway)
    assert requests(before)["/api/ai/*", "2xx", ""] == 2
    names = {name: len(samples) for name, samples in before.items()}
    for number in range(40):
        answer = ask(
            gateway.url, f"/api/ai/chat?n={number}", token=keys[number % 2], body=hello(model=f"made-up-{number}"),
            headers={"X-Task-Type": f"type-{number}", "X-Request-Id": f"id-{number}"},
        )  # fmt: skip
        assert answer.status == 404
        assert ask(gateway.url, f"/nowhere/{number}").status == 404
    after = metrics(gateway)
    assert requests(after)["/api/ai/*", "4xx", "caller_model_unknown"] == 40
    assert requests(after)["", "4xx", "caller_invalid_request"] == 40
    more = {name: len(samples) - names.get(name, 0) for name, samples in after.items() if len(samples) != names.get(name, 0)}
    text = ask(gateway.admin_url, "/metrics").body
    for chosen in (b"made-up-", b"type-", b"/nowhere", b"id-1", *[key.encode() for key in keys]):
        assert chosen not in text
    # Two new kinds of request: of the rest there is as much as before.
    assert set(more) <= {"wws_requests", "wws_response_body_bytes", "wws_request_duration_seconds", "wws_overhead_seconds"}


def test_gauges_return_to_rest(start: Start) -> None:
    gateway = start()
    key = gateway.create_key()["key"]
    for stream in (True, False):
        assert ask(gateway.url, CHAT, token=key, body=hello(stream=stream)).status == 200

    def value(name: str) -> float:
        [sample] = metrics(gateway)[name]
        number: float = sample.value
        return number

    until(lambda: value("wws_connections_open") == 0, "the end of every connection")
    assert value("wws_requests_active") == 0


@pytest.mark.parametrize(("level", "logged"), [("all", [200, 404, 401]), ("errors", []), ("off", [])])
def test_the_log_is_as_long_as_the_project_says(start: Start, level: str, logged: list[int]) -> None:
    gateway = start(f'log = "{level}"\n')
    key = gateway.create_key()["key"]
    asked: list[Answer] = [
        ask(gateway.url, CHAT, token=key, body=hello()),
        ask(gateway.url, "/none"),
        ask(gateway.url, CHAT, body=hello()),
    ]
    assert [answer.status for answer in asked] == [200, 404, 401]
    assert gateway.stop() == 0
    assert [line["status"] for line in gateway.log] == logged
    if logged:
        assert [line["request_id"] for line in gateway.log] == [answer.headers["x-request-id"] for answer in asked]


# the parts


def project(**parts: Any) -> Project:
    return Project(Path("/srv/shop/wws.toml"), Policy(), **parts)


def test_a_certificate_that_is_none_is_a_problem_of_the_project(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("no certificate")
    settings = ServerSettings(cert=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    with pytest.raises(ConfigError, match=r"wws\.toml: server\.cert: cannot be used"):
        serving.tls_of(project(server=settings))
    assert serving.tls_of(project()) is None


def test_how_many_processes_serve() -> None:
    cores = len(os.sched_getaffinity(0))
    counts = [main.worker_count(project(server=ServerSettings(workers=workers))) for workers in (1, 3, "auto")]
    assert counts == [1, 3, cores]
