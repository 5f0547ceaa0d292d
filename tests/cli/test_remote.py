"""Commands that talk to a gateway's admin listener: where they go, with which token, and what they say when it does not work."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import wws

STATE: dict[str, Any] = {
    "active": "v2",
    "rollout": None,
    "previous": "v1",
    "versions": [
        {"version": "v2", "state": "active", "name": "shop", "added": 1790000000.0, "by": "ci:0a1b", "files": 2, "size": 99},
        {"version": "local", "state": ""},
    ],
}
PROBLEM = {"detail": "the project is wrong", "problems": [{"file": "functions/a.py", "line": 3, "key": "", "message": "no"}]}


class Listener:
    """An admin listener that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None, bytes]] = []
        self.status, self.body = 200, json.dumps(STATE).encode()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                listener.asked.append((self.command, self.path, self.headers.get("authorization"), body))
                self.send_response(listener.status)
                self.end_headers()
                self.wfile.write(listener.body)

            do_GET = do_POST = _answer

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("WWS_ADMIN_URL", raising=False)
    monkeypatch.delenv("WWS_ADMIN_TOKEN", raising=False)
    (folder / "wws.toml").write_text('name = "shop"\n[origin]\nurl = "http://127.0.0.1:3000"\n')
    (folder / ".dev.vars").write_text("WWS_ADMIN_TOKEN=planted-token\n")
    return folder


def test_versions(project: Path, listener: Listener) -> None:
    assert wws("versions", "--url", listener.url, "--json").json == STATE
    assert listener.asked == [("GET", "/api/versions", "Bearer planted-token", b"")]
    shown = wws("versions", "--url", listener.url + "/")
    assert shown.out.splitlines() == ["v2\tactive\tshop\t2026-09-21 14:13\tci:0a1b\t2\t99", "local\t\t\t\t\t\t"]


def test_deploy_builds_and_sends(project: Path, listener: Listener) -> None:
    done = wws("deploy", "--target", "self-hosted", listener.url)
    assert (done.status, done.out) == (0, "v2 answers\n"), done.err
    [(method, target, _, sent)] = listener.asked
    assert (method, target) == ("POST", "/api/versions?percent=100")
    [bundle] = (project / ".wws" / "bundles").iterdir()
    assert bundle.read_bytes() == sent
    listener.body = json.dumps({**STATE, "rollout": {"version": "v3", "percent": 10}}).encode()
    done = wws("deploy", "--bundle", str(bundle), "--percent", "10", "--url", listener.url)
    assert done.out == "v3 answers 10% of the callers, v2 the others\n"
    assert listener.asked[1][1] == "/api/versions?percent=10"


def test_back_and_out(project: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WWS_ADMIN_URL", listener.url)
    assert wws("rollback").out == wws("rollback", "v1").out == wws("rollout", "50").out == "v2 answers\n"
    assert [(target, body) for _, target, _, body in listener.asked] == [
        ("/api/rollback", b"{}"), ("/api/rollback", b'{"version": "v1"}'), ("/api/rollout", b'{"percent": 50.0}'),
    ]  # fmt: skip


def test_what_the_gateway_says_is_told_with_every_reason(project: Path, listener: Listener) -> None:
    listener.status, listener.body = 422, json.dumps(PROBLEM).encode()
    done = wws("deploy", listener.url)
    assert (done.status, done.out) == (1, "")
    assert "error: the project is wrong\n  functions/a.py:3: no\n" in done.err
    assert wws("rollback", "--url", listener.url, "--json").json["error"]["message"].startswith("the project is wrong")


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (404, b"nothing here"), (502, b'{"detail": 1'), (302, b"")])
def test_something_else_is_there(project: Path, listener: Listener, status: int, body: bytes) -> None:
    listener.status, listener.body = status, body
    done = wws("versions", "--url", listener.url)
    assert done.status == 1
    assert "admin listener" in done.err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://192.0.2.1:8788", "the token would pass in the clear"),
        ("ftp://127.0.0.1", "allowed: https://"),
        ("127.0.0.1:8788", "allowed: https://"),
        ("http://127.0.0.1:1", "cannot be asked"),
    ],
)
def test_where_it_does_not_go(project: Path, url: str, words: str) -> None:
    done = wws("versions", "--url", url)
    assert (done.status, done.out) == (1, "")
    assert words in done.err and "planted" not in done.err


def test_the_project_s_own_listener(project: Path, listener: Listener) -> None:
    port = listener.server.server_port
    text = (project / "wws.toml").read_text()
    (project / "wws.toml").write_text(f'{text}[server]\nadmin = "0.0.0.0:{port}"\n[admin.tokens]\nme = "the-token-of-wws-toml"\n')
    (project / ".dev.vars").unlink()
    assert wws("versions").status == 0
    assert listener.asked[0][2] == "Bearer the-token-of-wws-toml"
    (project / "wws.toml").write_text(f'{text}[server]\nadmin = "off"\n')
    assert "WWS_ADMIN_TOKEN" in wws("versions").err
    (project / ".dev.vars").write_text("WWS_ADMIN_TOKEN=planted-token\n")
    assert "give one with --url" in wws("versions").err


def test_tail_shows_lines_for_people_and_machines(project: Path, listener: Listener) -> None:
    line = {
        "type": "request", "ts": 1790000000.5, "status": 500, "method": "GET", "route": "/bad", "duration_ms": 1.25,
        "request_id": "r1",
        "error_type": "wws_function", "function": "bad", "traceback": "Traceback\nKeyError: 'x'\n", "subject_hash": "0a1b",
    }  # fmt: skip
    log = {"type": "log", "ts": 1790000001.0, "level": "WARNING", "logger": "wws.x", "message": "[careful]"}
    listener.body = (
        b": wws tail\n\n"
        + b"".join([b"event: line\ndata: " + json.dumps(one).encode() + b"\n\n" for one in (line, log)])
        + b'event: lost\ndata: {"lines": 7}\n\nevent: lost\ndata: {"lines": null}\n\n'
    )
    for arguments in (("--status", "5xx", "--errors"), ("--json",)):
        done = wws("tail", "--url", listener.url, *arguments)
        assert done.status == 1  # the stream ended, which a gateway's does not
        assert "7 lines were lost" in done.err and "some lines were lost" in done.err
    assert listener.asked[0][1] == "/api/tail?status=5xx&errors=1"
    assert [json.loads(text) for text in done.out.splitlines()] == [line, log]
    shown = wws("tail", "--url", listener.url).out
    assert "500 GET    /bad  1.2 ms  wws_function  bad  user 0a1b  r1" in shown
    assert "KeyError: 'x'" in shown and "WARNING wws.x: [careful]" in shown
