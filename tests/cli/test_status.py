"""`wws status`: what is shown of a running gateway, and what is said when there is none."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import wws
from wws.cli.status import fetch
from wws.errors import WwsError
from wws.project.address import Address, address

WORKER = {
    "worker": 0, "pid": 4711, "restarts": 2, "state": "ready", "uptime": 61.4, "connections": 7, "version": "abc", "in_flight": 3,
    "upstream_connections": 5, "degraded": [],
}  # fmt: skip
FIELDS: dict[str, Any] = {
    "name": "shop", "wws": "0.1.0", "version": "abc", "listen": "127.0.0.1:8787", "restarts": 2,
    "reloads": {"ok": 1, "error": 0, "last": None}, "store": {"kind": "lmdb", "consistency": "exact"}, "degraded": ["limit"],
    "upstreams": [
        {"provider": "zai", "model": "glm", "breaker": "open", "quota": "closed", "cause": "provider_timeout", "retry_in": 12.4,
         "places": {"limit": 2, "in_use": 1, "waiting": 4}},
        {"provider": "zai", "model": "other", "breaker": "closed", "quota": "closed", "cause": None, "retry_in": None,
         "places": None},
    ],
    "workers": [WORKER, {"worker": 1, "pid": 4712, "restarts": 0, "state": "silent", "uptime": 3.0}],
}  # fmt: skip


@contextmanager
def admin(body: bytes, status: int = 200) -> Iterator[str]:
    """An admin listener that always says the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/status" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_what_is_shown(folder: Path) -> None:
    with admin(json.dumps(FIELDS).encode()) as where:
        (folder / "wws.toml").write_text(f'[server]\nadmin = "{where}"\n[origin]\nurl = "http://127.0.0.1:3000"\n')
        done = wws("status")
    assert done.status == 0
    lines = [line.strip() for line in done.out.splitlines()]
    assert lines[0] == "shop  wws 0.1.0, configuration abc"
    assert "store      lmdb, exact" in lines and "degraded   limit" in lines and "restarts   2" in lines
    assert "0\t4711\tready\t61 s\t3\t7\t5\t2" in lines
    assert "1\t4712\tsilent\t3 s\t\t\t\t0" in lines
    assert "zai\tglm\topen\tclosed\tprovider_timeout\t12 s\t1 of 2, 4 waiting" in lines


def test_for_machines_it_is_all_of_it(folder: Path) -> None:
    with admin(json.dumps(FIELDS).encode()) as where:
        done = wws("status", "--admin", f"http://{where}", "--json")
    assert done.status == 0 and done.json == FIELDS


def test_the_problems_of_the_last_reload_are_remarks(folder: Path) -> None:
    last = {"at": 1.0, "result": "error", "version": "abc", "problems": ["wws.toml:3: a: is wrong"], "warnings": []}
    with admin(json.dumps({**FIELDS, "reloads": {"ok": 0, "error": 1, "last": last}}).encode()) as where:
        done = wws("status", "--admin", where)
    assert "0 done, 1 refused, the last one refused" in done.out
    assert done.err == "last reload: wws.toml:3: a: is wrong\n"


def test_nobody_answers(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "wws.toml").write_text(f'[server]\nadmin = "127.0.0.1:{port}"\n[origin]\nurl = "http://127.0.0.1:3000"\n')
    done = wws("status")
    assert done.status == 1
    assert done.err.startswith(f"error: no gateway answers at 127.0.0.1:{port}: Connection refused")
    assert wws("status", "--json").json["error"]["message"].startswith("no gateway answers")


def test_there_is_no_admin_listener(folder: Path) -> None:
    (folder / "wws.toml").write_text('[server]\nadmin = "off"\n[origin]\nurl = "http://127.0.0.1:3000"\n')
    done = wws("status")
    assert (done.status, done.err) == (1, 'error: wws.toml: server.admin is "off": there is nobody to ask\n')


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"the other process is gone\n", 503, "answered 503: the other process is gone"),
        (b"<html>", 200, "is no admin listener of WWS"),
        (b"[1]", 200, "is no admin listener of WWS"),
    ],
)
def test_what_answers_is_something_else(body: bytes, status: int, told: str) -> None:
    with admin(body, status) as where, pytest.raises(WwsError, match=told):
        fetch(address(where), "/status")


def test_an_address_that_is_none(folder: Path) -> None:
    done = wws("status", "--admin", "nowhere")
    assert done.status == 2 and "--admin" in done.err


def test_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            accepted, _ = listener.accept()
            with accepted:
                assert b"GET /status HTTP/1.1" in accepted.recv(4096)
                accepted.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{"name":"a"}')

        thread = threading.Thread(target=answer)
        thread.start()
        assert fetch(Address("", 0, str(path)), "/status") == {"name": "a"}
        thread.join()
