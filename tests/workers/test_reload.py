"""SIGHUP: another configuration without a failed request, or none and a word about why."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from tests.e2e.ask import Answer, ask, hello
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until
from tests.workers.behaviours import always_500, paced
from tests.workers.conftest import Begin
from tests.workers.load import BusyLine, Load, status

CHAT = "/api/ai/chat"


def hup(gateway: Gateway) -> dict[str, Any]:
    """Sends SIGHUP; what /status says of the reload when it is over."""
    before = status(gateway)["reloads"]
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)

    def over() -> dict[str, Any] | None:
        now: dict[str, Any] = status(gateway)["reloads"]
        return now if now["ok"] + now["error"] > before["ok"] + before["error"] else None

    last: dict[str, Any] = until(over, "the reload")["last"]
    return last


def rewrite(gateway: Gateway, old: str, new: str) -> None:
    text = gateway.config.read_text()
    assert old in text
    gateway.config.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("workers", "times"),
    [(1, 5), (2, 5), pytest.param(1, 50, marks=pytest.mark.scale), pytest.param(2, 50, marks=pytest.mark.scale)],
)
def test_reloads_under_load_and_not_one_failure(begin: Begin, workers: int, times: int) -> None:
    gateway = begin(workers)
    key = gateway.create_key()["key"]
    good, versions = gateway.config.read_text(), {status(gateway)["version"]}
    with Load(6, BusyLine(gateway.url, key)) as load:
        for number in range(times):
            gateway.config.write_text(good.replace('name = "crew', f'name = "crew{number}'))
            last = hup(gateway)
            assert last["result"] == "ok", last
            versions.add(last["version"])
        load.go_on(30)
        now = status(gateway)
    assert not load.failures
    assert now["reloads"]["ok"] == times and len(versions) == times + 1 and now["restarts"] == 0
    assert {worker["version"] for worker in now["workers"]} == {now["version"]}  # all of them have the last one
    assert f'wws_config_info{{version="{now["version"]}"}} 1.0' in ask(gateway.admin_url, "/metrics").body.decode()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_file_changes_nothing_and_is_told(begin: Begin, workers: int) -> None:
    gateway = begin(workers)
    key = gateway.create_key()["key"]
    good = gateway.config.read_text()
    version = status(gateway)["version"]
    with Load(6, BusyLine(gateway.url, key)) as load:
        gateway.config.write_text(good.replace("[limits]", "[limit]\n[limits]").replace('code = ["sandbox', 'code = ["sand'))
        last = hup(gateway)
        load.go_on(30)
    assert not load.failures
    assert last["result"] == "error" and len(last["problems"]) == 2
    assert "unknown" in last["problems"][-1] or "unknown" in last["problems"][0]
    for problem in last["problems"]:
        assert f"ERROR wws.server: reload: {problem}" in gateway.stderr
    assert status(gateway)["version"] == version
    assert 'wws_config_reloads_total{result="error"} 1.0' in ask(gateway.admin_url, "/metrics").body.decode()
    shown = gateway.run("status", "--admin", gateway.admin_url)
    assert shown.status == 0 and "1 refused" in shown.out and last["problems"][0] in shown.err
    gateway.config.write_text(good)
    assert hup(gateway)["result"] == "ok"
    assert "Traceback" not in gateway.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_in_progress_keep_the_configuration_they_began_with(begin: Begin, around: Neighbours, workers: int) -> None:
    around.main.script("paced", paced)
    gateway = begin(workers, more='[[routes]]\npath = "/old/v1/*"\nto = "ai"')
    key = gateway.create_key()["key"]
    answers: list[Answer] = []
    body = hello(model="paced", stream=True)
    asking = threading.Thread(target=lambda: answers.append(ask(gateway.url, "/old/v1/chat/completions", token=key, body=body)))
    asking.start()
    until(lambda: around.main.seen("paced"), "the question")
    assert ask(gateway.url, "/new/v1/models", token=key).status == 404
    rewrite(gateway, 'path = "/old/v1/*"', 'path = "/new/v1/*"')
    assert hup(gateway)["result"] == "ok"
    for _ in range(6):  # whichever worker it is
        assert ask(gateway.url, "/new/v1/models", token=key).status == 200
        assert ask(gateway.url, "/old/v1/models", token=key).status == 404
    assert asking.is_alive()
    asking.join(20)
    assert answers[0].status == 200 and answers[0].body.endswith(b"data: [DONE]\n\n")


def test_what_a_reload_cannot_change_is_said(begin: Begin) -> None:
    gateway = begin()
    rewrite(gateway, "workers = 2", "workers = 3")
    rewrite(gateway, 'store = "lmdb:./state"', 'store = "lmdb:./other"')
    last = hup(gateway)
    assert last["result"] == "ok"
    said = "\n".join(last["warnings"])
    assert "server.workers: 3 needs a restart; 2 stays in force" in said
    assert "kv.store: another store needs a restart" in said
    assert len(status(gateway)["workers"]) == 2
    assert not (gateway.folder / "other").exists()


def test_a_worker_that_starts_after_a_reload_serves_what_was_reloaded(begin: Begin) -> None:
    gateway = begin(more='[[routes]]\npath = "/old/v1/*"\nto = "ai"')
    key = gateway.create_key()["key"]
    rewrite(gateway, 'path = "/old/v1/*"', 'path = "/new/v1/*"')
    assert hup(gateway)["result"] == "ok"
    gateway.config.write_text("broken")
    before = {worker["pid"] for worker in status(gateway)["workers"]}
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGUSR2)
    until(lambda: not before & {worker["pid"] for worker in status(gateway)["workers"]}, "new workers")
    for _ in range(6):
        assert ask(gateway.url, "/new/v1/models", token=key).status == 200


def test_breakers_of_unchanged_providers_survive(begin: Begin, around: Neighbours) -> None:
    gateway = begin(1)
    key = gateway.create_key()["key"]
    around.main.script("paced", always_500)
    for _ in range(6):
        ask(gateway.url, CHAT, token=key, body=hello(model="paced"))

    def breaker() -> str | None:
        return next((route["breaker"] for route in status(gateway)["upstreams"] if route["model"] == "paced"), None)

    assert breaker() == "open"
    rewrite(gateway, 'name = "crew"', 'name = "other"')
    assert hup(gateway)["result"] == "ok"
    assert breaker() == "open"
    rewrite(gateway, 'kind = "openai"', 'kind = "openai"\napi_key = "another"')
    assert hup(gateway)["result"] == "ok"
    assert breaker() is None  # with another key it may well work


@pytest.mark.parametrize("workers", [1, 2])
def test_new_code_of_functions_and_code_that_is_broken(begin: Begin, workers: int) -> None:
    gateway = begin(workers)
    with gateway.config.open("a") as file:
        file.write('[[routes]]\npath = "/hello"\nto = "function:hello"\nauth = "none"\n')
    code = gateway.folder / "functions" / "hello.py"
    code.parent.mkdir()

    def say(word: str) -> dict[str, Any]:
        code.write_text(f"from wws import Response\n\nasync def fetch(request, env, ctx):\n    return Response.text({word})\n")
        return hup(gateway)

    def said() -> set[bytes]:
        return {ask(gateway.url, "/hello").body for _ in range(8)}

    assert say('"one"')["result"] == "ok" and said() == {b"one"}
    assert say('"two"')["result"] == "ok" and said() == {b"two"}
    last = say('"three')
    assert last["result"] == "error" and "hello.py" in last["problems"][0]
    assert said() == {b"two"}  # what works goes on
    code.write_text("raise RuntimeError('at import')\n")
    last = hup(gateway)
    assert last["result"] == "error" and "hello.py" in last["problems"][0]
    assert said() == {b"two"}
    assert say('"four"')["result"] == "ok" and said() == {b"four"}
