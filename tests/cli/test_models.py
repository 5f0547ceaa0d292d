"""`wws check --online` against a provider's list on a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.cli.run import wws
from wws.cli.models import MAX_BYTES, fetch_models


class Listing(BaseHTTPRequestHandler):
    """Answers GET with what the server was told to; remembers what it was asked."""

    server: Listed

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        if 300 <= self.server.status < 400:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Listed(HTTPServer):
    status = 200
    body = json.dumps({"data": [{"id": "org/one"}, {"id": "org/two"}, {"name": "no id"}, "nonsense"]}).encode()

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Listing)
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/base/v1"


@pytest.fixture
def listed() -> Iterator[Listed]:
    with Listed() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def config(folder: Path, url: str, *models: str) -> None:
    lines = [
        '[origin]\nurl = "http://127.0.0.1:3000"',
        f'[providers.local]\nkind = "openai"\nbase_url = "{url}"',
        'api_key = "${KEY}"',
    ]
    (folder / "wws.toml").write_text("\n".join([*lines, "[models]", f"x = {json.dumps(list(models))}"]))


def online(folder: Path) -> list[tuple[int | None, str]]:
    done = wws("check", "--online", "--json")
    assert done.status == 0
    return [
        (found["line"], found["message"])
        for found in done.json["warnings"]
        if found["key"].startswith(("models.x", "providers.local"))
    ]


def test_the_list_of_a_provider(listed: Listed) -> None:
    assert fetch_models(listed.url, "k") == ["org/one", "org/two"]
    assert fetch_models(listed.url, None) == ["org/one", "org/two"]
    assert listed.asked == [("/base/v1/models", "Bearer k"), ("/base/v1/models", None)]


def test_a_model_the_provider_does_not_list(folder: Path, listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "planted")
    config(folder, listed.url, "local/org/one", "local/org/tow")
    told = online(folder)
    assert (8, "local does not list org/tow today; the nearest it has is local/org/two") in told
    assert not [message for _, message in told if "org/one today" in message]
    assert listed.asked == [("/base/v1/models", "Bearer planted")]


def test_without_online_nobody_is_asked(folder: Path, listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "k")
    config(folder, listed.url, "local/org/one")
    assert wws("check").status == 0
    assert listed.asked == []


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, b"", "it answered 500"),
        (401, b"{}", "it answered 401"),
        (302, b"", "it answered 302"),
        (200, b"nonsense", "Expecting value"),
        (200, b"[]", "no list of models"),
        (200, b'{"data": {}}', "no list of models"),
        (200, b" " * (MAX_BYTES + 1), "too long"),
    ],
)
def test_a_bad_answer_is_a_warning(
    folder: Path, listed: Listed, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, why: str
) -> None:
    monkeypatch.setenv("KEY", "planted")
    listed.status, listed.body = status, body
    config(folder, listed.url, "local/org/one")
    [found] = [message for line, message in online(folder) if line == 3]
    assert found.startswith("local did not list its models: ")
    assert why in found
    assert "planted" not in found


def test_a_provider_that_is_not_there_is_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "k")
    config(folder, "http://127.0.0.1:1/v1", "local/org/one")
    [found] = [message for line, message in online(folder) if line == 3]
    assert "refused" in found


def test_a_provider_on_a_socket_is_not_asked() -> None:
    with pytest.raises(ValueError, match="socket"):
        fetch_models("http+unix:///run/provider.sock", None)
