"""Deploying to a running gateway, as a user does: while it is under load, and what happens to what is broken."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.ask import Answer, ask
from tests.e2e.conftest import Start
from tests.e2e.program import Gateway, Ran, wws
from wws.project.bundle import pack
from wws.project.files import project_files

TOKEN = "an-admin-token-of-the-test"
HELLO = 'from wws import Response\n\n\nasync def fetch(request, env, ctx):\n    return Response.text("{}")\n'
TOML = """\
name = "shop"
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = {workers}
[admin]
token = "${{WWS_ADMIN_TOKEN}}"
keep = 3
[limits]
default = "1000000/min"
address = "off"
[[routes]]
path = "/nothing-else"
to = "function:hello"
auth = "none"
"""


class Shop:
    """A gateway, and the project beside it that is deployed to it."""

    def __init__(self, gateway: Gateway, work: Path) -> None:
        self.gateway = gateway
        self.work = work

    def write(self, text: str, code: str = HELLO) -> None:
        (self.work / "functions").mkdir(parents=True, exist_ok=True)
        (self.work / "functions" / "hello.py").write_text(code.format(text))

    def run(self, *arguments: str) -> Ran:
        env = {"WWS_ADMIN_TOKEN": TOKEN, "WWS_ADMIN_URL": self.gateway.admin_url}
        return wws(*arguments, cwd=self.work, env=env)

    def told(self, *arguments: str) -> dict[str, object]:
        ran = self.run(*arguments, "--json")
        assert ran.status == 0, ran.err + ran.out
        told: dict[str, object] = json.loads(ran.out)
        return told

    def send(self) -> Answer:
        """What `wws deploy` sends, without the time that a command takes to start."""
        files = {name: path.read_bytes() for name, path in project_files(self.work / "wws.toml").items()}
        return ask(self.gateway.admin_url, "/api/versions", token=TOKEN, body=pack("shop", "1", "x", files)[1])

    def hello(self, client: str = "") -> str:
        answer = ask(self.gateway.url, "/hello", headers={"x-request-id": client} if client else None)
        assert answer.status == 200
        return answer.body.decode()

    @property
    def audit(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.gateway.folder / ".wws" / "audit.jsonl").read_text().splitlines()]


@pytest.fixture
def begin(start: Start, tmp_path: Path) -> Iterator[object]:
    def made(workers: int = 1) -> Shop:
        folder = tmp_path / "project0"
        (folder / "functions").mkdir(parents=True)
        (folder / "functions" / "hello.py").write_text(HELLO.format("local"))
        toml = TOML.format(workers=workers)
        work = tmp_path / "work"
        work.mkdir()
        (work / "wws.toml").write_text(toml)
        return Shop(start(toml, {"WWS_ADMIN_TOKEN": TOKEN}), work)

    yield made


class Load:
    """Clients that ask without pause, each on a connection that is kept; what they were answered."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self.answers: Counter[tuple[int, bytes]] = Counter()
        self.failures: list[str] = []
        self._host = urlsplit(url).netloc
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        connection = HTTPConnection(self._host, timeout=20)
        try:
            while not self._stop.wait(0.002):
                connection.request("GET", "/hello")
                response = connection.getresponse()
                body = response.read()
                with self._lock:
                    self.answers[response.status, body] += 1
        except (OSError, HTTPException) as error:
            self.failures.append(repr(error))
        finally:
            connection.close()

    @contextmanager
    def running(self) -> Iterator[Load]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("workers", [1, 2])
def test_twenty_deployments_under_load_fail_no_request(begin: object, workers: int) -> None:
    shop: Shop = begin(workers)  # type: ignore[operator]
    with Load(shop.gateway.url).running() as load:
        for number in range(20):
            if number == 7:
                shop.write("", 'raise RuntimeError("at import")\n\n\nasync def fetch(request, env, ctx):\n    return None\n')
                broken = shop.send()
                assert broken.status == 422
                [problem] = broken.json["problems"]
                assert problem["file"].endswith("functions/hello.py") and problem["line"] == 1
                assert problem["message"] == "cannot be imported: RuntimeError: at import"
                continue
            if number == 13:
                assert ask(shop.gateway.admin_url, "/api/rollback", "POST", token=TOKEN).status == 200
                continue
            shop.write(f"v{number}")
            assert shop.send().status == 200
            assert shop.hello() == f"v{number}"
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}
    seen = {body.decode() for _, body in load.answers}
    assert len(seen) > 10 and seen <= {"local", *[f"v{number}" for number in range(20)]}
    results = [line["result"] for line in shop.audit]
    assert (len(results), results.count("done")) == (20, 19)
    state = shop.told("versions")
    assert len(state["versions"]) == 4  # type: ignore[arg-type]  # the three that are kept, and local


def test_what_was_deployed_answers_after_a_restart(begin: object) -> None:
    shop: Shop = begin()  # type: ignore[operator]
    shop.write("deployed")
    version = shop.told("deploy")["active"]
    assert shop.hello() == "deployed"
    shop.gateway.stop()
    shop.gateway.start()
    assert shop.hello() == "deployed"
    assert shop.told("versions")["active"] == version
    assert shop.told("rollback")["active"] == "local"
    assert shop.hello() == "local"


def test_a_part_of_the_callers(begin: object) -> None:
    shop: Shop = begin()  # type: ignore[operator]
    shop.write("new")

    def callers() -> dict[str, str]:
        return {
            str(number): ask(shop.gateway.url, "/hello", headers={"authorization": f"Bearer wws_k{number}"}).body.decode()
            for number in range(60)
        }

    (shop.work / "wws.toml").write_text(
        (shop.work / "wws.toml").read_text() + '[[routes]]\npath = "/hello"\nto = "function:hello"\nauth = "none"\n'
    )
    (shop.gateway.config).write_text((shop.work / "wws.toml").read_text())
    shop.gateway.stop()
    shop.gateway.start()
    assert set(callers().values()) == {"local"}
    shop.told("deploy", "--percent", "30")
    some = callers()
    assert callers() == some  # each stays with what it has
    count = list(some.values()).count("new")
    assert 5 < count < 35
    shop.told("rollout", "70")
    more = callers()
    assert all(more[name] == "new" for name, text in some.items() if text == "new")
    assert list(more.values()).count("new") > count
    shop.told("rollback")
    assert set(callers().values()) == {"local"}
    assert shop.run("rollout", "50").status == 1
    shop.told("deploy", "--percent", "30")
    assert shop.told("rollout", "100")["rollout"] is None
    assert set(callers().values()) == {"new"}


def test_what_is_refused_changes_nothing(begin: object) -> None:
    shop: Shop = begin()  # type: ignore[operator]
    url = shop.gateway.admin_url
    for headers, status, code in (
        ({}, 401, "admin_token"),
        ({"authorization": "Bearer wrong"}, 401, "admin_token"),
        ({"authorization": f"Basic {TOKEN}"}, 401, "admin_token"),
    ):
        answer = ask(url, "/api/versions", "POST", body=b"x", headers=headers)
        assert (answer.status, answer.json["code"]) == (status, code)
    answer = ask(url, "/api/versions", body=b"no bundle", token=TOKEN)
    assert (answer.status, answer.json["code"]) == (422, "bundle_refused")
    assert ask(shop.gateway.url, "/api/versions", token=TOKEN).status in (401, 404)  # not on the public listener
    (shop.work / "wws.toml").write_text((shop.work / "wws.toml").read_text() + '[vars]\nA = "${NOT_SET_THERE}"\n')
    shop.write("x")
    refused = shop.run("deploy", "--bundle", json.loads(shop.run("build", "--json").out or "{}").get("path", "none"))
    assert refused.status == 1
    assert shop.hello() == "local"
    assert [path.name for path in (shop.gateway.folder / ".wws" / "releases").iterdir() if path.is_dir()] == []
    assert TOKEN not in shop.gateway.stderr


def test_without_a_token_nothing_can_be_changed(start: Start) -> None:
    gateway = start(
        TOML.format(workers=1)
        .replace('token = "${WWS_ADMIN_TOKEN}"\n', "")
        .replace("function:hello", "ai")
        .replace('auth = "none"', 'auth = "required"')
        + "[providers.sandbox]\n"
    )
    answer = ask(gateway.admin_url, "/api/rollback", "POST", token="anything")
    assert (answer.status, answer.json["code"]) == (403, "admin_off")
    assert ask(gateway.admin_url, "/metrics").status == 200
