from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from wws import codec
from wws.hosts.server.dev import Pages, keep_reloading
from wws.hosts.server.reload import Reloaded
from wws.http import Request, Response, Stream

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class World:
    def __init__(self) -> None:
        self.response = Response.text("fine")
        self.pages = Pages(self.app)

    async def app(self, request: Request) -> Response:
        self.response.notes = "x-request-id: r1\r\nserver-timing: total;dur=1\r\n"
        return self.response

    def fail(self) -> None:
        """As a function does that raises."""
        self.response = Response(b'{"status":500,"code":"function_failed"}', 500, {"content-type": "application/problem+json"})
        try:
            raise KeyError("<no key>")
        except KeyError as error:
            logging.getLogger("wws.functions").error("request %s: function %s failed", "r1", "hello", exc_info=error)

    async def ask(self, headers: dict[str, str] | None = None, method: str = "GET") -> Response:
        return await self.pages(Request(method, "/hello", headers))


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.pages.close()


def text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


async def test_what_is_well_passes_untouched(world: World) -> None:
    assert await world.ask(BROWSER) is world.response


async def test_a_browser_is_shown_the_traceback(world: World) -> None:
    world.fail()
    shown = await world.ask(BROWSER)
    assert (shown.status, shown.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "KeyError: &#x27;&lt;no key&gt;&#x27;" in text(shown)
    assert shown.notes == world.response.notes


async def test_others_get_it_in_the_problem(world: World) -> None:
    world.fail()
    told = codec.decode(text(await world.ask()).encode())
    assert told["code"] == "function_failed"
    assert "KeyError: '<no key>'" in told["reason"]


async def test_a_reason_is_told_once_and_only_for_its_request(world: World) -> None:
    world.fail()
    await world.ask()
    assert await world.ask() is world.response


async def test_streams_and_the_origin_s_own_errors_pass(world: World) -> None:
    world.response = Response("the origin's words", 502)
    assert await world.ask(BROWSER) is world.response

    async def pieces() -> AsyncIterator[bytes]:
        yield b""

    world.response = Response(Stream(pieces()), 500)
    assert await world.ask(BROWSER) is world.response


async def test_a_wrong_project_is_shown_to_who_asks_for_a_page(world: World) -> None:
    world.pages.problems = ["wws.toml:3: name: unknown key <x>"]
    shown = await world.ask(BROWSER)
    assert shown.status == 500
    assert "wws.toml:3: name: unknown key &lt;x&gt;" in text(shown)
    for answered in (await world.ask(), await world.ask(BROWSER, "POST"), await world.ask({"accept": "*/*"})):
        assert answered is world.response


async def test_each_save_reloads(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    results = [Reloaded(False, "1", ["wws.toml:1: wrong"], []), Reloaded(True, "2", [], [])]
    states: list[list[str]] = []

    async def saved() -> AsyncIterator[set[Path]]:
        yield {Path("/p/wws.toml")}
        states.append(world.pages.problems)
        yield {Path("/p/functions/a.py"), Path("/p/functions/b.py")}
        states.append(world.pages.problems)

    async def reload() -> Reloaded:
        return results.pop(0)

    await keep_reloading(saved(), Path("/p"), reload, world.pages)
    assert states == [["wws.toml:1: wrong"], []]
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("wws wws.toml: not reloaded, the version before answers on (")
    assert second.startswith("wws functions/a.py, functions/b.py: reloaded (")
