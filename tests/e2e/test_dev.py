"""`wws dev` while somebody works on the project."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from tests.e2e.ask import ask
from tests.e2e.conftest import Start
from tests.e2e.program import until

HELLO = 'from wws import Response\n\n\nasync def fetch(request, env, ctx):\n    return Response.text("{}")\n'
TOML = """\
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
[limits]
default = "100000/min"
address = "off"
"""
PAGE = {"accept": "text/html"}


def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project0"
    (folder / "functions").mkdir(parents=True)
    (folder / "functions" / "hello.py").write_text(HELLO.format("one"))
    return folder


def test_what_is_saved_is_served_and_what_is_wrong_is_shown(start: Start, tmp_path: Path) -> None:
    folder = project(tmp_path)
    gateway = start(TOML, command=("dev",))
    gateway.functions_fail = True
    assert ask(gateway.url, "/hello").body == b"one"
    assert "/hello" in gateway.stderr.partition("wws ready")[0]  # the table of routes
    (folder / "functions" / "hello.py").write_text(HELLO.format("two"))
    until(lambda: ask(gateway.url, "/hello").body == b"two", "the new answer")
    (folder / "functions" / "bad.py").write_text("async def fetch(request, env, ctx):\n    return missing\n")
    until(lambda: ask(gateway.url, "/bad").status == 500, "the new function")
    told = ask(gateway.url, "/bad")
    assert told.headers["content-type"] == "application/problem+json"
    assert "NameError: name 'missing' is not defined" in told.json["reason"]
    shown = ask(gateway.url, "/bad", headers=PAGE)
    assert shown.headers["content-type"].startswith("text/html")
    assert b"bad.py" in shown.body and b"NameError" in shown.body
    (folder / "functions" / "bad.py").write_text("async def fetch(:\n")
    until(lambda: b"syntax" in ask(gateway.url, "/bad").body, "the syntax error")
    assert ask(gateway.url, "/hello").body == b"two"
    gateway.config.write_text("naem = 1\n" + TOML)
    until(lambda: b"unknown key" in ask(gateway.url, "/hello", headers=PAGE).body, "the page of a wrong project")
    assert ask(gateway.url, "/hello").body == b"two"  # the last good version
    gateway.config.write_text(TOML)
    until(lambda: ask(gateway.url, "/hello", headers=PAGE).body == b"two", "the project again")


def test_a_request_that_runs_is_finished_by_the_version_it_began_with(start: Start, tmp_path: Path) -> None:
    folder = project(tmp_path)
    slow = "import asyncio\nfrom wws import Response\n\n\nasync def fetch(request, env, ctx):\n    await asyncio.sleep(2)\n"
    (folder / "functions" / "slow.py").write_text(slow + '    return Response.text("old")\n')
    gateway = start(TOML, command=("dev",))
    bodies: list[bytes] = []
    asking = threading.Thread(target=lambda: bodies.append(ask(gateway.url, "/slow").body))
    asking.start()
    until(lambda: b"wws_requests_active 1.0" in ask(gateway.admin_url, "/metrics").body, "the request in progress")
    (folder / "functions" / "slow.py").write_text(slow.replace("sleep(2)", "sleep(0)") + '    return Response.text("new")\n')
    until(lambda: ask(gateway.url, "/slow").body == b"new", "the new answer")
    asking.join()
    assert bodies == [b"old"]


def test_serve_shows_none_of_it(start: Start, tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "functions" / "bad.py").write_text("async def fetch(request, env, ctx):\n    return missing\n")
    toml = TOML + '[[routes]]\npath = "/x"\nto = "function:hello"\n'
    gateway = start(toml)
    gateway.functions_fail = True
    answer = ask(gateway.url, "/bad", headers=PAGE)
    assert answer.status == 500
    assert "reason" not in json.loads(answer.body) and b"NameError" not in answer.body
