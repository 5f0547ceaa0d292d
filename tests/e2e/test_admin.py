"""Looking at a running gateway: live lines, what was used, and the dashboard."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.ask import ask, hello
from tests.e2e.conftest import Start
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import WWS, environment, until
from tests.e2e.projects import project

TOKEN = "an-admin-token-of-the-test"
FUNCTIONS = {
    "fine.py": 'from wws import Response\n\n\nasync def fetch(request, env, ctx):\n    return Response.text("fine")\n',
    "bad.py": "async def fetch(request, env, ctx):\n    return {}['no such key']\n",
}
TOML = """\
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = {workers}
[admin]
token = "${{WWS_ADMIN_TOKEN}}"
[limits]
default = "100000/min"
address = "off"
[[routes]]
path = "/unused"
to = "function:fine"
"""


class Tail:
    """`wws tail --json` beside a gateway."""

    def __init__(self, url: str, folder: Path, *options: str) -> None:
        self._out, self._err = folder / "tail.out", folder / "tail.err"
        env = environment({"WWS_ADMIN_TOKEN": TOKEN, "WWS_ADMIN_URL": url})
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen([WWS, "tail", "--json", *options], cwd=folder, env=env, stdout=out, stderr=err)
        until(lambda: "watching" in self._err.read_text(), "the tail")

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(15)


@pytest.mark.parametrize("workers", [1, 2])
def test_live_lines_of_every_process(start: Start, tmp_path: Path, workers: int) -> None:
    folder = tmp_path / "project0" / "functions"
    folder.mkdir(parents=True)
    for name, text in FUNCTIONS.items():
        (folder / name).write_text(text)
    gateway = start(TOML.format(workers=workers), {"WWS_ADMIN_TOKEN": TOKEN})
    gateway.functions_fail = True
    (tmp_path / "errors").mkdir()
    everything, errors = Tail(gateway.admin_url, tmp_path), Tail(gateway.admin_url, tmp_path / "errors", "--status", "5xx")
    for number in range(20):
        assert ask(gateway.url, "/fine", headers={"x-request-id": f"fine-{number}"}).status == 200
    assert ask(gateway.url, "/bad", headers={"x-request-id": "bad-1"}).status == 500
    until(lambda: len(everything.lines) >= 21, "all lines")
    found = {line["request_id"]: line for line in everything.lines if line["type"] == "request"}
    assert set(found) == {*[f"fine-{number}" for number in range(20)], "bad-1"}
    assert (found["fine-0"]["function"], found["fine-0"]["status"]) == ("fine", 200)
    until(lambda: errors.lines, "the line of the error")
    [line] = errors.lines
    assert line["request_id"] == "bad-1"
    assert "KeyError: 'no such key'" in line["traceback"] and "bad.py" in line["traceback"]
    assert everything.end() == errors.end() == 0


def test_what_was_used_and_what_it_cost(start: Start, around: Neighbours, token: str) -> None:
    prices = '\n[providers.main.models."coder"]\nprice_in = 1000.0\nprice_out = 2000.0\n'
    gateway = start(project(around, prices))
    for _ in range(3):
        assert ask(gateway.url, "/api/ai/chat", body=hello(task="code"), token=token).status == 200
    gateway.stop()  # which writes the ledger
    ran = gateway.run("cost", "--by", "model", "--by", "user", "--json")
    assert ran.status == 0, ran.err
    told = json.loads(ran.out)
    [row] = told["rows"]
    assert (row["model"], row["requests"], row["errors"]) == ("main/coder", 3, 0)
    assert row["cost_usd"] == pytest.approx((row["tokens_in"] * 1000 + row["tokens_out"] * 2000) / 1e6)
    assert told["total"]["cost_usd"] == pytest.approx(row["cost_usd"]) and row["cost_usd"] > 0
    assert told["without_price"] == []
    shown = gateway.run("cost")
    assert "main/coder" in shown.out and "total" in shown.out
    assert gateway.run("cost", "--by", "colour").status == 2
    assert gateway.run("cost", "--since", "yesterday").status == 2


def test_the_dashboard(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "project0" / "functions"
    folder.mkdir(parents=True)
    (folder / "fine.py").write_text(FUNCTIONS["fine.py"])
    gateway = start(TOML.format(workers=2), {"WWS_ADMIN_TOKEN": TOKEN})
    page = ask(gateway.admin_url, "/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    ask(gateway.admin_url, "/dashboard.json")  # from now on they are counted
    for _ in range(10):
        ask(gateway.url, "/fine")
    told = ask(gateway.admin_url, "/dashboard.json").json
    steps = {step["step"]: step for step in told["steps"]}
    assert steps["limit"]["count"] == 10 and 0 < steps["limit"]["p50"] <= steps["limit"]["p99"] < 5
    assert len(told["status"]["workers"]) == 2 and told["release"] == "local"
    assert ask(gateway.url, "/dashboard.json").status == 404  # never on the public listener
