"""What is written in one turn of the loop leaves together, in order, and not to who is gone."""

from __future__ import annotations

import asyncio

from tests.hosts.server.wire import settle
from wws.hosts.server.outbox import Outbox


class Writer:
    """A transport as far as an outbox uses one."""

    def __init__(self, log: list[tuple[str, bytes]], name: str) -> None:
        self.closing = False
        self._log = log
        self._name = name

    def write(self, data: bytes) -> None:
        self._log.append((self._name, data))

    def is_closing(self) -> bool:
        return self.closing


async def test_it_leaves_at_the_end_of_the_turn_in_the_order_it_was_posted() -> None:
    log: list[tuple[str, bytes]] = []
    outbox = Outbox(asyncio.get_running_loop())
    a, b = Writer(log, "a"), Writer(log, "b")
    outbox.post(a, b"1")
    outbox.post(b, b"2")
    outbox.post(a, b"3")
    assert log == []
    await settle(1)
    assert log == [("a", b"1"), ("b", b"2"), ("a", b"3")]
    outbox.post(b, b"4")
    await settle(1)
    assert log[3:] == [("b", b"4")]


async def test_a_flush_sends_what_there_is_once() -> None:
    log: list[tuple[str, bytes]] = []
    outbox = Outbox(asyncio.get_running_loop())
    a = Writer(log, "a")
    outbox.flush()
    outbox.post(a, b"1")
    outbox.flush()
    assert log == [("a", b"1")]
    outbox.post(a, b"2")
    await settle()
    assert log == [("a", b"1"), ("a", b"2")]


async def test_nothing_goes_to_a_transport_that_is_closing() -> None:
    log: list[tuple[str, bytes]] = []
    outbox = Outbox(asyncio.get_running_loop())
    gone, there = Writer(log, "gone"), Writer(log, "there")
    outbox.post(gone, b"1")
    outbox.post(there, b"2")
    gone.closing = True
    await settle(1)
    assert log == [("there", b"2")]


async def test_what_is_posted_while_it_leaves_is_not_lost() -> None:
    log: list[tuple[str, bytes]] = []
    outbox = Outbox(asyncio.get_running_loop())

    class Answering(Writer):
        def write(self, data: bytes) -> None:
            super().write(data)
            if data == b"1":
                outbox.post(self, b"2")

    outbox.post(Answering(log, "a"), b"1")
    await settle()
    assert log == [("a", b"1"), ("a", b"2")]
