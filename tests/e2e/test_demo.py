"""`wws dev`: nothing is configured, and the line it prints works when it is pasted."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

from tests.e2e.ask import ask
from tests.e2e.program import Gateway, wws
from tests.e2e.projects import SERVER

HEADERS = {
    "x-request-id",
    "server-timing",
    "cache-status",
    "ratelimit-policy",
    "ratelimit",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-wws-provider",
    "x-wws-model",
    "x-wws-route-reason",
    "x-wws-attempts",
}
"""Those of every AI answer."""


def printed_line(gateway: Gateway) -> str:
    """The one line with curl."""
    lines = [line for line in gateway.stdout.splitlines() if line.strip().startswith("curl ")]
    assert len(lines) == 1, gateway.stdout
    return lines[0]


def paste(line: str) -> tuple[str, dict[str, str], str]:
    """What a shell makes of the line: status line, headers, body."""
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20, check=True)
    head, _, body = ran.stdout.partition("\n\n")
    status, *fields = head.splitlines()
    return status, {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}, body


def check(gateway: Gateway) -> None:
    status, headers, body = paste(printed_line(gateway))
    assert status == "HTTP/1.1 200 OK"
    assert not HEADERS - set(headers)
    assert headers["x-wws-provider"] == "sandbox"
    assert headers["x-wws-route-reason"] == "Standard code task"
    assert headers["x-wws-attempts"] == "1"
    assert '"object":"chat.completion"' in body.replace(" ", "")
    assert '"usage":{"prompt_tokens":' in body.replace(" ", "")
    assert "sandbox" in gateway.stdout


def test_dev_with_a_file_that_says_hardly_anything(tmp_path: Path) -> None:
    with Gateway(tmp_path, SERVER, ("dev",)) as gateway:
        check(gateway)
        assert ask(gateway.url, "/").body.startswith(b"<!doctype html>")
        key = re.search(r"wws_live_\w+", printed_line(gateway))
        assert key is not None
        forged = {"X-User-ID": "admin"}
        assert ask(gateway.url, "/api/whoami", token=key[0], headers=forged).json["user"].startswith("key:")
        assert ask(gateway.url, "/api/whoami", headers=forged).json["user"] is None


def test_a_new_project_in_dev(tmp_path: Path) -> None:
    """The first five minutes: `wws init`, `wws dev`, paste the line."""
    assert wws("init", cwd=tmp_path).status == 0
    file = tmp_path / "wws.toml"
    text = file.read_text()
    for port in ("8787", "8788"):
        assert f'"127.0.0.1:{port}"' in text
        text = text.replace(f'"127.0.0.1:{port}"', '"127.0.0.1:0"')
    with Gateway(tmp_path, text, ("dev",)) as gateway:
        check(gateway)


def test_dev_demo_as_make_run_calls_it(tmp_path: Path) -> None:
    """It listens where the documentation says. Where something else does so already, it says that instead."""
    with socket.socket() as probe:
        taken = [port for port in (8787, 8788) if probe.connect_ex(("127.0.0.1", port)) == 0]
    gateway = Gateway(tmp_path, None, ("dev", "--demo"))
    try:
        gateway.start()
    except AssertionError as error:
        assert taken, error
        assert f"cannot listen on 127.0.0.1:{taken[0]}" in str(error)
        assert "Choose another address" in str(error)
        gateway.process = None
        return
    try:
        assert gateway.url == "http://127.0.0.1:8787"
        check(gateway)
    finally:
        assert gateway.stop() == 0
