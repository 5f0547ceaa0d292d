from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wws import codec
from wws.admin.answers import NotDone
from wws.admin.tail import Tails
from wws.http import Request, Response, Stream


class Processes:
    """Two processes that have lines to tell; `sleeps` are the pauses of the stream."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.rounds: list[list[dict[str, Any]]] = []
        self.tails = Tails(self.gather, self.sleep)

    async def gather(self, what: str, value: Any) -> list[Any]:
        self.asked.append((what, value))
        if what != "tail" or value[2]:
            return [{"lines": [], "lost": 0}] * 2
        return self.rounds.pop(0) if self.rounds else [{"lines": [], "lost": 0}]

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    async def stream(self, query: str = "") -> Response:
        return await self.tails.stream(Request("GET", f"/api/tail?{query}"))

    async def read(self, response: Response, count: int) -> list[bytes]:
        assert isinstance(response.body, Stream)
        pieces: list[bytes] = []
        async for piece in response.body:
            pieces.append(piece)
            if len(pieces) == count:
                break
        await response.body.aclose()
        return pieces


def lines(*times: float) -> dict[str, Any]:
    return {"lines": [{"ts": ts} for ts in times], "lost": 0}


async def test_lines_of_all_processes_in_order_of_time() -> None:
    world = Processes()
    world.rounds = [[lines(1, 4), lines(2, 3)], [{"lines": [], "lost": 2}, {"lines": [{"ts": 9}], "lost": 5}]]
    response = await world.stream()
    assert response.headers["content-type"] == "text/event-stream"
    first, second, third = await world.read(response, 3)
    assert first == b": wws tail\n\n"
    told = [codec.decode(line[6:]) for line in second.splitlines() if line.startswith(b"data: ")]
    assert [line["ts"] for line in told] == [1, 2, 3, 4]
    assert third.startswith(b'event: lost\ndata: {"lines":7}\n\nevent: line\n')
    name = world.asked[0][1][0]
    assert world.asked[-1] == ("tail_end", name)  # whoever goes is forgotten at once


async def test_nobody_knows_how_many_were_lost() -> None:
    world = Processes()
    world.rounds = [[{"lines": [], "lost": None}, {"lines": [], "lost": 1}]]
    assert (await world.read(await world.stream(), 2))[1] == b'event: lost\ndata: {"lines":null}\n\n'


async def test_a_silent_stream_says_that_it_lives() -> None:
    world = Processes()
    assert await world.read(await world.stream(), 2) == [b": wws tail\n\n", b": idle\n\n"]
    assert len(world.asked) > 50


async def test_filters_are_handed_on() -> None:
    world = Processes()
    await world.stream("status=5xx,404&route=/a&user=u&function=f&errors=1&sample=0.5")
    assert world.asked[0][1][1] == ["5xx,404", "/a", "u", "f", True, 0.5]


@pytest.mark.parametrize(
    "query", ["sample=0", "sample=x", "sample=2", "colour=red", "status=abc", "status=6xx", "status=5xx,,99"]
)
async def test_filters_there_are_not(query: str) -> None:
    world = Processes()
    with pytest.raises(NotDone) as refused:
        await world.stream(query)
    assert refused.value.code == "invalid_request"
    assert world.asked == []


async def test_too_many_look_on() -> None:
    world = Processes()

    async def full(what: str, value: Any) -> list[Any]:
        return [{"lines": [], "lost": 0, "full": True}]

    with pytest.raises(NotDone, match="look on already"):
        await Tails(full).stream(Request("GET", "/api/tail"))
    assert world.asked == []
