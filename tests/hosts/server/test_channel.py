"""Questions and answers over a real socket pair."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from wws.errors import StoreError
from wws.hosts.server import channel as module
from wws.hosts.server.channel import Channel, ChannelError


async def echo(what: str, value: Any) -> Any:
    return [what, value]


@asynccontextmanager
async def pair(one: module.Handler = echo, other: module.Handler = echo) -> AsyncIterator[tuple[Channel, Channel]]:
    first, second = socket.socketpair()
    ends = await Channel.open(first, one), await Channel.open(second, other)
    try:
        yield ends
    finally:
        for end in ends:
            end.close()
            await end.closed.wait()


async def test_both_sides_ask_at_once() -> None:
    async with pair() as (one, other):
        found = await asyncio.gather(*[end.ask("sum", number) for number in range(50) for end in (one, other)])
    assert found == [["sum", number] for number in range(50) for _ in range(2)]


async def test_a_message_larger_than_any_buffer() -> None:
    async with pair() as (one, _):
        assert await one.ask("much", "x" * 3_000_000) == ["much", "x" * 3_000_000]


async def test_who_is_told_does_not_answer() -> None:
    heard: list[tuple[str, Any]] = []

    async def hear(what: str, value: Any) -> None:
        heard.append((what, value))

    async with pair(other=hear) as (one, _):
        one.tell("counts", [1, 2])
        assert await one.ask("over") is None
    assert heard == [("counts", [1, 2]), ("over", None)]


async def test_a_refusal_is_told_and_the_channel_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(what: str, value: Any) -> Any:
        if what == "known":
            raise StoreError("the disk is full")
        if what == "unknown":
            raise KeyError("secret")
        return value

    async with pair(other=refuse) as (one, _):
        with pytest.raises(ChannelError, match="the disk is full"):
            await one.ask("known")
        with pytest.raises(ChannelError, match="^KeyError$"):
            await one.ask("unknown")
        assert await one.ask("good", 5) == 5
    assert "secret" in caplog.text  # its traceback is in the log, where it belongs


async def test_silence_has_an_end_and_a_late_answer_is_nobody_s() -> None:
    go = asyncio.Event()

    async def wait(what: str, value: Any) -> Any:
        if what == "slow":
            await go.wait()
        return value

    async with pair(other=wait) as (one, _):
        with pytest.raises(ChannelError, match=r"no answer to 'slow' within 0\.01 s"):
            await one.ask("slow", 1, timeout=0.01)
        go.set()
        assert await one.ask("quick", 2) == 2


async def test_the_other_side_goes_while_it_is_asked() -> None:
    async def wait(what: str, value: Any) -> Any:
        await asyncio.sleep(60)

    async with pair(other=wait) as (one, other):
        asking = asyncio.ensure_future(one.ask("slow"))
        await asyncio.sleep(0)
        other.close()
        with pytest.raises(ChannelError, match="the other process is gone"):
            await asking
        assert one.closed.is_set()
        one.tell("counts")  # nobody hears it, and that is no error
        with pytest.raises(ChannelError, match="the other process is gone"):
            await one.ask("more")


async def test_a_message_beyond_all_bounds_ends_the_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 1000)
    async with pair() as (one, other):
        with pytest.raises(ChannelError):
            await one.ask("much", "x" * 2000)
        await other.closed.wait()
