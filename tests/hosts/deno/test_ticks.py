"""One of all processes runs what is due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.hosts.deno.database import FakeDatabase
from tests.support.clock import FakeClock
from wws.hosts.deno.ticks import run_tick


class App:
    """Remembers what it runs."""

    def __init__(self, clock: FakeClock) -> None:
        self.env = SimpleNamespace(wws=SimpleNamespace(clock=clock))
        self.ran: list[tuple[str, float]] = []

    async def scheduled(self, cron: str, seconds: float, keep: object) -> None:
        self.ran.append((cron, seconds))


def _keep(awaitable: Awaitable[Any]) -> None:
    raise AssertionError("nothing is kept here")


MINUTE = 1_790_000_040.0  # a whole one


async def test_one_process_runs_a_tick(database: FakeDatabase) -> None:
    apps = [App(FakeClock(MINUTE + 0.2)) for _ in range(3)]
    await asyncio.gather(*[run_tick(app, database, "* * * * *", _keep) for app in apps])  # type: ignore[arg-type]
    assert [one for app in apps for one in app.ran] == [("* * * * *", MINUTE)]


@pytest.mark.parametrize("late", [-0.9, 0.0, 30.0, 54.0])
async def test_a_tick_is_that_of_its_minute(database: FakeDatabase, late: float) -> None:
    app = App(FakeClock(MINUTE + late))
    await run_tick(app, database, "*/5 * * * *", _keep)  # type: ignore[arg-type]
    assert app.ran == [("*/5 * * * *", MINUTE)]


async def test_each_minute_and_each_expression_is_a_tick_of_its_own(database: FakeDatabase) -> None:
    clock = FakeClock(MINUTE)
    app = App(clock)
    for cron in ("* * * * *", "*/5 * * * *"):
        await run_tick(app, database, cron, _keep)  # type: ignore[arg-type]
    clock.advance(60.0)
    await run_tick(app, database, "* * * * *", _keep)  # type: ignore[arg-type]
    assert len(app.ran) == 3


async def test_what_cannot_be_claimed_is_told_and_not_run(database: FakeDatabase, caplog: pytest.LogCaptureFixture) -> None:
    database.failing = True
    app = App(FakeClock(MINUTE))
    await run_tick(app, database, "* * * * *", _keep)  # type: ignore[arg-type]
    assert app.ran == []
    assert "a tick of * * * * * is missed: Deno KV failed" in caplog.text
