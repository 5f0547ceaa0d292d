"""Starting and ending `wws serve`."""

from __future__ import annotations

import re
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.e2e.ask import Answer, ask, hello
from tests.e2e.conftest import Start
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until, wws
from tests.e2e.projects import SECRETS, SERVER, project

WRONG = """\
name = "wrong"
[server]
listen = "127.0.0.1:99999"
worker = 2
[limits]
default = "sixty per minute"
[auth]
session_ttl = "1 fortnight"
[providers.local]
kind = "openai"
base_url = "localhost:8000"
[models]
reasoning = ["local/small"]
[[rules]]
use = "reasonning"
[[routes]]
path = "/api/*"
to = "orgin"
"""


@pytest.mark.parametrize("command", ["serve", "check"])
def test_every_mistake_at_once_with_its_line(tmp_path: Path, command: str) -> None:
    file = tmp_path / "wws.toml"
    file.write_text(WRONG)
    ran = wws(command, "--config", str(file), cwd=tmp_path)
    assert ran.status == 1
    told = ran.err + ran.out
    lines = {int(line) for line in re.findall(rf"{re.escape(str(file))}:(\d+)", told)}
    assert {3, 4, 6, 8, 11, 15, 18} <= lines
    assert "workers" in told  # the key that was meant
    assert 'did you mean "reasoning"' in told
    assert 'did you mean "origin"' in told
    assert "Traceback" not in told
    assert not (tmp_path / ".wws").exists()  # nothing was begun


def test_no_file(tmp_path: Path) -> None:
    ran = wws("serve", cwd=tmp_path)
    assert ran.status == 1
    assert "wws.toml" in ran.err
    assert "wws init" in ran.err
    assert "Traceback" not in ran.err


def test_not_toml(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_text('name = "x"\n[server\n')
    ran = wws("serve", cwd=tmp_path)
    assert ran.status == 1
    assert "wws.toml:2" in ran.err


def test_secrets_that_are_not_set(tmp_path: Path, around: Neighbours) -> None:
    (tmp_path / "wws.toml").write_text(project(around))
    ran = wws("serve", cwd=tmp_path)
    assert ran.status == 1
    for name in SECRETS:
        assert name in ran.err


def test_secrets_of_dev_vars(tmp_path: Path, around: Neighbours, token: str) -> None:
    (tmp_path / ".dev.vars").write_text("".join(f"{name}={value}\n" for name, value in SECRETS.items()))
    with Gateway(tmp_path, project(around)) as gateway:
        assert ask(gateway.url, "/api/ai/chat", token=token, body=hello()).status == 200
        assert around.main.requests[-1].headers["authorization"] == f"Bearer {SECRETS['MAIN_API_KEY']}"


@pytest.mark.parametrize("key", ["listen", "admin"])
def test_a_port_that_is_taken(tmp_path: Path, around: Neighbours, key: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "wws.toml").write_text(
            project(around, server=SERVER.replace(f'{key} = "127.0.0.1:0"', f'{key} = "{address}"'))
        )
        ran = wws("serve", cwd=tmp_path, env=SECRETS)
    assert ran.status == 1
    assert f"server.{key}: cannot listen on {address}" in ran.err
    assert "Choose another address" in ran.err
    assert "Traceback" not in ran.err


def test_the_ready_line_and_the_two_listeners(gateway: Gateway, around: Neighbours) -> None:
    assert re.search(r"^wws ready on http://127\.0\.0\.1:\d+, admin on http://127\.0\.0\.1:\d+$", gateway.stderr, re.MULTILINE)
    assert gateway.stdout == ""  # the log has standard error, and there is no result
    assert ask(gateway.url, "/healthz").json == {"status": "ok"}
    assert ask(gateway.url, "/readyz").json["status"] == "ready"
    metrics = ask(gateway.admin_url, "/metrics")
    assert metrics.status == 200
    assert b"wws_requests_active" in metrics.body
    public = ask(gateway.url, "/metrics")
    assert public.json["path"] == "/metrics"  # that is the origin's page
    assert b"wws_requests_active" not in public.body


def test_nothing_of_the_demo_is_in_serve(start: Start, around: Neighbours) -> None:
    gateway = start(project(around))
    assert gateway.stdout == ""
    assert "demo" not in gateway.stderr
    key = gateway.create_key()["key"]
    answer = ask(gateway.url, "/api/ai/chat", token=key, body=hello(model="sandbox/any"))
    assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_answers_in_progress_are_finished_at_the_end(
    start: Start, around: Neighbours, token: str, number: signal.Signals
) -> None:
    gateway = start(project(around))
    answers: list[Answer] = []
    around.origin.held = True
    asking = threading.Thread(target=lambda: answers.append(ask(gateway.url, "/private/slow", token=token)))
    asking.start()
    until(lambda: around.origin.numbers["/private/slow"], "the question")
    process = gateway.process
    assert process is not None
    process.send_signal(number)

    def refused() -> bool:
        with socket.socket() as probe:
            host, port = gateway.url.removeprefix("http://").split(":")
            return probe.connect_ex((host, int(port))) != 0

    until(refused, "the end of listening")
    assert process.poll() is None  # somebody still waits
    around.call(around.origin.release)
    asking.join(10)
    assert process.wait(10) == 0
    gateway.process = None
    assert [answer.status for answer in answers] == [200]
    assert answers[0].headers["connection"] == "close"
    assert gateway.log[-1]["status"] == 200


def test_a_stop_that_follows_the_ready_line_at_once(start: Start, around: Neighbours) -> None:
    assert start(project(around)).stop() == 0


def test_a_gateway_that_was_killed_starts_again(start: Start, around: Neighbours, token: str) -> None:
    gateway = start(project(around))
    key = gateway.create_key("--scope", "*")["key"]
    assert ask(gateway.url, "/five/things", token=key).status == 200
    assert gateway.process is not None
    gateway.process.kill()
    gateway.process.wait()
    gateway.start()
    statuses = [ask(gateway.url, "/five/things", token=key).status for _ in range(5)]
    assert statuses == [200] * 4 + [429]  # the key is there, and so is what was counted
