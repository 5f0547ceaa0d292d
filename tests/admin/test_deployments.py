from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.clock import FakeClock
from wws.admin.access import Access, Who
from wws.admin.answers import NotDone
from wws.admin.api import Api
from wws.admin.audit import FILE, Audit
from wws.admin.deployments import Deployments, describe
from wws.admin.tail import Tails
from wws.http import Request
from wws.project.bundle import pack
from wws.project.deployed import served
from wws.project.load import load
from wws.project.releases import LOCAL, Releases, State
from wws.project.secret import Secret
from wws.project.settings import Project

TOML = '[kv]\nstore = "memory:"\n[origin]\nurl = "http://127.0.0.1:1"\n[[routes]]\npath = "/*"\nto = "origin"\n'
WHO = Who("ci", "0a1b2c3d")


class Switched(NamedTuple):
    ok: bool
    problems: list[str]


class World:
    """A project that is served, by processes that do as `reload` says."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "wws.toml").write_text(TOML)
        self.own = load(home / "wws.toml", environ={})
        self.serving: Project = self.own
        self.problems: list[str] = []
        self.reloads = 0
        self.deployments = Deployments(lambda: self.serving, Audit(home, FakeClock().time), self.reload, {}, FakeClock().time)

    async def reload(self) -> Switched:
        self.reloads += 1
        if not self.problems:
            self.serving = await asyncio.to_thread(served, self.own, {})
        return Switched(not self.problems, self.problems)

    async def deploy(self, mark: str = "", *, percent: float = 100, files: dict[str, str] | None = None) -> State:
        return await self.deployments.deploy(self.bundle(mark, files), percent, WHO)

    @staticmethod
    def bundle(mark: str = "", files: dict[str, str] | None = None) -> bytes:
        named = {f"functions/{name}.py": text.encode() for name, text in (files or {}).items()}
        return pack("shop", "1", "x", {"wws.toml": (TOML + f"# {mark}\n").encode(), **named})[1]

    @property
    def disk(self) -> tuple[State, set[str]]:
        releases = Releases(self.home)
        return releases.state(), {path.name for path in releases.folder.iterdir() if path.is_dir()}

    @property
    def audit(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.home / FILE).read_text().splitlines()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def refused(doing: Awaitable[object], code: str, words: str) -> NotDone:
    with pytest.raises(NotDone) as why:
        await doing
    assert (why.value.code, words in str(why.value) + str(why.value.problems)) == (code, True), why.value
    return why.value


async def on_disk(world: World) -> tuple[State, set[str]]:
    return await asyncio.to_thread(lambda: world.disk)


async def test_a_version_is_served_and_kept(world: World) -> None:
    state = await world.deploy("one")
    assert world.serving.release == state.active != LOCAL
    assert await on_disk(world) == (state, {state.active})
    told = describe(state)
    assert told["active"] == told["versions"][0]["version"]
    assert [one["state"] for one in told["versions"]] == ["active", ""]


async def test_every_change_is_a_line(world: World) -> None:
    await world.deploy("one")
    await refused(world.deployments.deploy(b"nothing", 100, WHO), "bundle_refused", "no bundle")
    await refused(world.deployments.rollout(50, WHO), "release_conflict", "no version is being rolled out")
    await world.deployments.rollback(None, WHO)
    lines = await asyncio.to_thread(lambda: world.audit)
    assert [(line["what"], str(line["result"]).partition(":")[0]) for line in lines] == [
        ("deploy", "done"), ("deploy", "not done"), ("rollout", "not done"), ("rollback", "done"),
    ]  # fmt: skip
    assert {(line["who"], line["token"]) for line in lines} == {("ci", "0a1b2c3d")}
    assert lines[0]["at"] == "2026-09-21T14:13:20.000Z"
    assert (world.home / FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"bad": "def ("}, "syntax error"),
        ({"bad": "raise ValueError('at import')\n\n\nasync def fetch(r, e, c): ..."}, "ValueError: at import"),
    ],
)
async def test_broken_code_is_told_with_its_place_and_changes_nothing(world: World, files: dict[str, str], words: str) -> None:
    before = await world.deploy("one")
    why = await refused(world.deploy("two", files=files), "bundle_refused", words)
    assert str(why.problems[0]["file"]).endswith("functions/bad.py")
    assert await on_disk(world) == (before, {before.active})
    assert world.serving.release == before.active


async def test_processes_that_cannot_switch_leave_everything_as_it_was(world: World) -> None:
    before = await world.deploy("one")
    world.problems = ["worker 1: out of memory"]
    await refused(world.deploy("two"), "bundle_refused", "worker 1: out of memory")
    assert await on_disk(world) == (before, {before.active})
    world.problems = []
    assert (await world.deploy("two")).previous == (LOCAL, before.active)


async def test_a_wrong_project_is_refused_before_anybody_reloads(world: World) -> None:
    data = pack("shop", "1", "x", {"wws.toml": b"naem = 1\n"})[1]
    why = await refused(world.deployments.deploy(data, 100, WHO), "bundle_refused", "unknown key")
    assert {1} <= {problem["line"] for problem in why.problems}
    assert world.reloads == 0
    assert await on_disk(world) == (State(), set())


async def test_two_changes_at_once_are_made_one_after_the_other(world: World) -> None:
    await asyncio.gather(*[world.deploy(str(number)) for number in range(4)])
    state, there = await on_disk(world)
    assert len(there) == len(state.releases) == 4
    assert state.active == world.serving.release


async def test_only_so_many_are_kept(world: World) -> None:
    for number in range(8):
        await world.deploy(str(number))
    state, there = await on_disk(world)
    assert len(there) == len(state.releases) == world.own.admin.keep == 5
    assert {state.active, state.previous[-1]} <= there


async def test_a_rollout(world: World) -> None:
    one = await world.deploy("one")
    two = await world.deploy("two", percent=10)
    assert two.active == one.active and two.rollout is not None
    assert world.serving.rollout is not None and world.serving.rollout.percent == 10
    assert describe(two)["versions"][0]["state"] == "10%"
    three = await world.deployments.rollout(100, WHO)
    assert (three.active, three.rollout) == (two.rollout.version, None)


# the same over HTTP

ASK: Callable[..., Request] = lambda method, path, body=b"": Request(  # noqa: E731
    method, path, {"authorization": "Bearer a-token-of-the-test"}, body
)


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (ASK("GET", "/api/nothing"), 404, "not_found"),
        (ASK("DELETE", "/api/versions"), 405, "method_not_allowed"),
        (ASK("POST", "/api/versions?percent=0"), 400, "invalid_request"),
        (ASK("POST", "/api/versions?percent=many"), 400, "invalid_request"),
        (ASK("POST", "/api/versions", b"x" * (9 * 1024 * 1024 + 1)), 413, "bundle_too_large"),
        (ASK("POST", "/api/versions", b"x"), 422, "bundle_refused"),
        (ASK("POST", "/api/rollback", b"{"), 400, "invalid_request"),
        (ASK("POST", "/api/rollback", b'{"version": 7}'), 400, "invalid_request"),
        (ASK("POST", "/api/rollback", b'{"version": "v9"}'), 409, "release_conflict"),
        (ASK("POST", "/api/rollback"), 409, "release_conflict"),
        (ASK("POST", "/api/rollout", b'{"percent": true}'), 400, "invalid_request"),
        (ASK("POST", "/api/rollout", b'{"percent": 101}'), 400, "invalid_request"),
        (ASK("POST", "/api/rollout", b'{"percent": 10}'), 409, "release_conflict"),
    ],
)
async def test_what_the_api_answers(world: World, request_: Request, status: int, code: str) -> None:
    response = await api(world)(request_)
    assert isinstance(response.body, bytes)
    told = json.loads(response.body)
    assert (response.status, told["status"], told["code"]) == (status, status, code)
    assert response.headers["content-type"] == "application/problem+json"


async def test_deploying_over_http(world: World) -> None:
    response = await api(world)(ASK("POST", "/api/versions", World.bundle("one")))
    assert isinstance(response.body, bytes)
    assert (response.status, json.loads(response.body)["active"]) == (200, world.serving.release)
    listed = await api(world)(ASK("GET", "/api/versions"))
    assert listed.body == response.body


async def test_wws_dev_takes_no_deployments(world: World) -> None:
    response = await api(world, deployments=False)(ASK("POST", "/api/versions", World.bundle("one")))
    assert response.status == 409


def api(world: World, *, deployments: bool = True) -> Api:
    async def gather(what: str, value: object) -> list[object]:
        return []

    access = Access(lambda: {"ci": Secret("a-token-of-the-test")})
    return Api(access, world.deployments if deployments else None, Tails(gather), lambda: 1024 * 1024)
