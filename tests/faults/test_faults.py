"""Sixteen faults of providers, streamed and not. After each one the gateway is well."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.scripts import FALLBACK_USAGE, TEXT, Outage, Paced, shortened
from tests.faults.wall import Result, Wall
from tests.support.provider import Exchange

Note = Callable[[str, bool, Result], None]
pytestmark = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@pytest.fixture(autouse=True)
def _well(wall: Wall) -> Iterator[None]:
    yield
    wall.is_well()


def met(wall: Wall, note: Note, fault: str, stream: bool) -> Result:
    """One request that meets the fault."""
    result = wall.ask(("s" if stream else "f") + fault[1:], stream)
    note(fault, stream, result)
    return result


def whole(result: Result, provider: str) -> None:
    """The caller has the whole answer, of this provider."""
    assert (result.error, result.text, result.finish, result.provider) == (None, TEXT, "stop", provider)


def model_of(fault: str, stream: bool) -> str:
    return ("s" if stream else "f") + fault[1:]


def test_f01_retry_after(wall: Wall, note: Note, stream: bool) -> None:
    script = Paced()
    wall.around.main.script(model_of("F01", stream), script)
    result = met(wall, note, "F01", stream)
    whole(result, "main")
    assert len(script.calls) == 2
    assert script.calls[1] - script.calls[0] >= 1.8


def test_f02_rate_limited_for_ever(wall: Wall, note: Note, stream: bool) -> None:
    whole(met(wall, note, "F02", stream), "backup")
    started = time.monotonic()
    while time.monotonic() < started + 2.5:
        whole(wall.ask(model_of("F02", stream), stream), "backup")
        time.sleep(0.1)
    assert wall.around.main.seen(model_of("F02", stream)) <= 4


def test_f03_one_500(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F03", stream)
    whole(result, "main")
    assert result.attempts == 2


def test_f04_503_for_ever(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F04", stream)
    whole(result, "backup")
    assert result.attempts <= 3


def test_f05_reset(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F05", stream)
    whole(result, "main")
    assert result.attempts == 2


def test_f06_silence(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F06", stream)
    whole(result, "backup")
    assert wall.around.main.seen(model_of("F06", stream)) == 1
    assert result.seconds < 5


def test_f07_a_late_first_token(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F07", stream)
    whole(result, "backup")
    assert result.seconds < 15


def test_f08_a_cut(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F08", stream)
    if stream:
        assert (result.error, result.finish) == ("upstream_disconnect", None)
        assert shortened(result.text)
    else:
        whole(result, "backup")


def test_f08_a_cut_of_a_stream_that_is_held_back(wall: Wall, stream: bool) -> None:
    """`mode = "buffer"`: another model can step in until the end."""
    result = wall.ask(model_of("F08", stream), stream, wall.buffered)
    whole(result, "backup")
    assert result.attempts == 2


def test_f09_a_stall(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F09", stream)
    if stream:
        assert (result.error, result.finish) == ("provider_timeout", None)
        assert shortened(result.text)
    else:
        whole(result, "backup")
    assert result.seconds < 8


def test_f10_a_malformed_event(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F10", stream)
    whole(result, "main")
    assert result.attempts == 1


def test_f11_no_end(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F11", stream)
    whole(result, "main")
    assert result.usage.completion_tokens == 60
    assert result.seconds < 8


def test_f12_context_length(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F12", stream)
    assert (result.error, result.attempts) == ("context_length_exceeded", 1)


def test_f13_content_policy(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F13", stream)
    assert (result.error, result.attempts) == ("content_policy_violation", 1)
    assert "flagged" in result.message  # the caller gets the reason


def test_f14_no_prefill(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F14", stream)
    if stream:
        assert (result.error, result.finish) == ("upstream_disconnect", None)
        assert "prefill" not in result.message
    else:
        whole(result, "backup")


@pytest.mark.timeout(90)
def test_f15_an_outage(wall: Wall, note: Note, stream: bool) -> None:
    script, model = Outage(), model_of("F15", stream)
    wall.around.main.script(model, script)
    slowest: Result | None = None
    for _ in range(20):
        result = wall.ask(model, stream)
        whole(result, "backup")
        slowest = result if slowest is None or result.seconds > slowest.seconds else slowest
    assert slowest is not None
    note("F15", stream, slowest)
    assert len(script.calls) <= 6  # until the breaker opened; not one for each request
    script.down = False
    back = time.monotonic()
    while wall.ask(model, stream).provider != "main":
        assert time.monotonic() < back + 31, "the primary is back, and nobody asks it"
        time.sleep(0.5)
    whole(wall.ask(model, stream), "main")


def test_f16_the_books_are_the_fallback_s(wall: Wall, note: Note, stream: bool) -> None:
    result = met(wall, note, "F16", stream)
    whole(result, "backup")
    assert result.model == "f16"
    assert result.usage.completion_tokens == FALLBACK_USAGE["completion_tokens"]


# beyond the sixteen


def test_all_is_spent(wall: Wall, stream: bool) -> None:
    """The SDK would try three times what we have tried already."""
    result = wall.ask("main/status-502", stream)
    assert (result.error, result.should_retry) == ("provider_error", "false")
    assert result.attempts == 2


def test_a_closed_route_says_when_to_come_back(wall: Wall, stream: bool) -> None:
    model = f"main/status-429-long{'-' if stream else ''}"
    wall.around.main.script(model.partition("/")[2], long_limit)
    first, second = wall.ask(model, stream), wall.ask(model, stream)
    assert (first.error, first.attempts) == ("provider_rate_limited", 1)
    assert (second.error, second.attempts) == ("provider_rate_limited", 0)
    assert second.retry_after is not None
    assert 250 < int(second.retry_after) <= 300  # what was asked for is more: capped


async def long_limit(exchange: Exchange) -> None:
    await exchange.json(429, {"error": {"message": "slow down"}}, {"retry-after": "6000"})


def together(wall: Wall, model: str, stream: bool, number: int) -> list[Result]:
    """So many requests at once. Their own counts of calls are not to be trusted."""
    results: list[Result] = []
    threads = [threading.Thread(target=lambda: results.append(wall.ask(model, stream))) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_one_at_a_time_and_the_others_elsewhere(wall: Wall, stream: bool) -> None:
    """More than the line holds: they are served by the next model, and the first provider sees one at a time."""
    slow = Busy()
    wall.around.main.script("slow", slow)
    results = together(wall, "places", stream, 8)
    assert [result.error for result in results] == [None] * 8
    assert slow.most == 1
    assert {result.provider for result in results} == {LIMITED_NAME, "backup"}


def test_one_at_a_time_and_the_others_in_line(wall: Wall, stream: bool) -> None:
    slow = Busy()
    wall.around.main.script("slow", slow)
    results = together(wall, "line", stream, 3)
    assert [result.error for result in results] == [None] * 3
    assert slow.most == 1


LIMITED_NAME = "limited"


class Busy:
    """A provider that takes its time. `most`: requests at a time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def __call__(self, exchange: Exchange) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.2)
        self.now -= 1
        await exchange.answer()


def test_memory_is_back(wall: Wall, stream: bool) -> None:
    for _ in range(30):
        wall.ask("main/fine", stream)
    before = wall.rss()
    for _ in range(60):
        wall.ask("m08", stream)
        wall.ask("m10", stream)
    assert wall.rss() < before + 8 * 1024 * 1024
