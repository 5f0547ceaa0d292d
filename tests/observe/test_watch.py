from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.observe.seen import FAILED, OK, call, page
from tests.support.clock import FakeClock
from wws.core.auth.user import User
from wws.core.policy import Route
from wws.observe import watch
from wws.observe.quantile import percentile
from wws.observe.watch import Filter, Tap, Watch

ALL = Filter()


class Taps:
    tap: Tap | None = None


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.taps = Taps()
        self.watch = Watch(self.taps, self.clock.monotonic, self.clock.time, lambda user: f"hash-of-{user}")
        self.number = 0

    def tail(self, wanted: Filter = ALL, name: str = "t", first: bool = False) -> dict[str, Any]:
        return self.watch.tail(name, wanted, first)

    def finish(self, seen: Any, status: int = 200, total: float = 0.25) -> str:
        """A request ends; its id."""
        self.number += 1
        request, ctx = seen
        ctx.request_id = f"r{self.number}"
        if self.taps.tap is not None:
            self.taps.tap(request, ctx, status, "done", 100, total)
        return f"r{self.number}"


def ids(told: dict[str, Any]) -> list[str]:
    return [line["request_id"] for line in told["lines"]]


def test_nobody_looks_and_nothing_is_called() -> None:
    world = World()
    assert world.taps.tap is None
    world.tail(first=True)
    assert world.taps.tap is not None
    world.watch.end("t")
    assert world.taps.tap is None


def test_lines_come_once_and_say_what_the_log_says() -> None:
    world = World()
    assert world.tail(first=True) == {"lines": [], "lost": 0}
    world.finish(call(FAILED, OK, user=User("u-1", key_id="k1")), 200, 10.3)
    [line] = world.tail()["lines"]
    assert world.tail()["lines"] == []
    assert line | {"ts": 0} == {
        "type": "request", "ts": 0, "request_id": "r1", "method": "POST", "route": "/api/ai/*", "function": None, "status": 200,
        "outcome": "done", "error_type": None, "duration_ms": 10300.0, "overhead_ms": 100.0, "bytes_out": 100, "cache": "bypass",
        "subject_hash": "hash-of-u-1", "key_id": "k1", "provider": "main", "model": "coder", "attempts": 2,
        "reason": "Standard code task",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (Filter(), ["r1", "r2", "r3", "r4"]),
        (Filter(status="5xx"), ["r2"]),
        (Filter(status="404, 500"), ["r2", "r3"]),
        (Filter(errors=True), ["r2", "r3"]),
        (Filter(route="/api/ai/*"), ["r4"]),
        (Filter(user="u-1"), ["r4"]),
        (Filter(user="hash-of-u-1"), ["r4"]),
        (Filter(function="hello"), ["r2"]),
        (Filter(sample=0.0), []),
        (Filter(status="5xx", function="other"), []),
    ],
)
def test_filters(wanted: Filter, shown: list[str]) -> None:
    world = World()
    world.tail(wanted, first=True)
    world.finish(page())
    world.finish(page(route=Route("/hello", "function", target="hello")), 500)
    world.finish(page(route=None, error_type="caller_invalid_request"), 404)
    world.finish(call())
    assert ids(world.tail(wanted)) == shown


def test_a_sample_is_about_its_share() -> None:
    world = World()
    wanted = Filter(sample=0.25)
    world.tail(wanted, first=True)
    for _ in range(2000):
        world.finish(page())
    assert 400 < len(world.tail(wanted)["lines"]) < 600


def test_who_asks_too_rarely_loses_the_oldest_lines_and_is_told_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "CAPACITY", 3)
    world = World()
    world.tail(first=True)
    for _ in range(5):
        world.finish(page())
    told = world.tail()
    assert (ids(told), told["lost"]) == (["r3", "r4", "r5"], 2)
    assert world.tail()["lost"] == 0


def test_who_does_not_ask_is_forgotten() -> None:
    world = World()
    world.tail(first=True)
    world.watch.steps()
    world.clock.advance(watch.FORGET + 1)
    world.watch.rest()
    assert world.taps.tap is None
    assert world.tail() == {"lines": [], "lost": None}  # and is told, coming back


def test_no_more_than_so_many_at_a_time() -> None:
    world = World()
    for number in range(watch.TAILS):
        world.tail(name=f"t{number}", first=True)
    assert world.tail(name="one more", first=True)["full"] is True


def test_the_program_s_log_and_tracebacks() -> None:
    world = World()
    world.tail(first=True)
    log = logging.getLogger("wws.test_watch")
    try:
        raise ValueError("what went wrong, with sk-planted-secret-123")
    except ValueError:
        log.exception("request %s failed", "r1")
        log.exception("something else")
    log.warning("a warning with Bearer planted-secret")
    world.finish(page(), 500)
    other, warning, line = world.tail()["lines"]
    assert "ValueError: what went wrong" in line["traceback"] and line["request_id"] == "r1"
    assert (other["type"], other["level"], other["message"]) == ("log", "ERROR", "something else")
    assert (warning["message"], "traceback" in warning) == ("a warning with ***", False)
    assert "planted" not in str([other, warning, line])
    world.watch.end("t")
    log.warning("nobody hears it")


def test_the_log_is_not_shown_beside_chosen_requests() -> None:
    world = World()
    world.tail(Filter(route="/x"), first=True)
    world.tail(Filter(errors=True), "errors", first=True)
    logging.getLogger("wws.test_watch").warning("a warning")
    logging.getLogger("wws.test_watch").error("an error")
    assert world.tail(Filter(route="/x"))["lines"] == []
    assert [line["message"] for line in world.tail(name="errors")["lines"]] == ["an error"]
    world.watch.end("t")
    world.watch.end("errors")


def counts(world: World, step: str) -> tuple[int, float | None]:
    told = {int(place): count for place, count in world.watch.steps()[step].items()}
    return sum(told.values()), percentile(told, 0.5)


def test_steps_are_counted_from_the_first_look_on() -> None:
    world = World()
    world.finish(page())
    assert counts(world, "overhead") == (0, None)
    world.finish(call(auth=0.0002, limit=0.0001, route=0.00005, first_token=1.5))
    world.finish(call(FAILED, OK, auth=0.2, auth_source="origin", first_token=6.0))
    world.finish(page(cache_outcome="hit"), 200, 0.003)
    for step, seconds in (
        ("auth_known", 0.0002), ("auth_asked", 0.2), ("limit", 0.0001), ("route", 0.00005), ("cache_hit", 0.003),
        ("first_token", 1.5), ("first_token_fallback", 6.0),
    ):  # fmt: skip
        count, middle = counts(world, step)
        assert count == 1, step
        assert middle == pytest.approx(seconds, rel=0.1), step


def test_what_is_told_is_of_the_last_two_windows() -> None:
    world = World()
    world.watch.steps()
    for expected in (1, 2, 2):
        world.finish(page(cache_outcome="hit"))
        assert counts(world, "cache_hit")[0] == expected
        world.clock.advance(watch.WINDOW / 2)
        world.watch.steps()
        world.clock.advance(watch.WINDOW / 2)
