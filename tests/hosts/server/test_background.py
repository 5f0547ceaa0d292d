"""Work behind the answers."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.hosts.server.wire import settle
from wws.hosts.server.background import Background


async def test_work_is_kept_until_it_ends() -> None:
    background, done = Background(), asyncio.Event()
    ended: list[bool] = []

    async def work() -> None:
        await done.wait()
        ended.append(True)

    background(work())
    gc.collect()  # asyncio itself would forget a task that nobody holds
    assert len(background) == 1
    done.set()
    await settle()
    assert ended == [True] and len(background) == 0


async def test_what_work_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()

    async def work() -> None:
        raise ValueError("the reason")

    background(work())
    await settle()
    assert "background work failed" in caplog.text and "the reason" in caplog.text and len(background) == 0


async def test_the_end_waits_and_then_cancels() -> None:
    background = Background()
    ends: list[str] = []

    async def work(seconds: float, name: str) -> None:
        try:
            await asyncio.sleep(seconds)
            ends.append(name)
        except asyncio.CancelledError:
            ends.append(f"{name} cancelled")
            raise

    background(work(0.0, "quick"))
    background(work(60.0, "slow"))
    await background.drain(0.01)
    await settle()
    assert ends == ["quick", "slow cancelled"] and len(background) == 0
    await background.drain(60.0)  # nothing left to wait for
