"""What one worker tells, every other hears once, or hears that there was more than it can know."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.hosts.server.forgotten import LONGEST, MESSAGES, Herald, Rings, Voice


@pytest.fixture
def rings() -> Rings:
    return Rings(3)


def test_everybody_hears_once_what_comes_later(rings: Rings) -> None:
    one, other = Voice(rings, 0), Voice(rings, 2)
    one.tell(b"before")
    first, second = one.listener(), other.listener()
    assert first() == second() == []
    one.tell(b"a")
    other.tell(b"")
    one.tell(b"b")
    assert first() == second() == [b"a", b"b", b""]
    assert first() == second() == []


def test_a_message_that_is_too_long_is_told_of(rings: Rings) -> None:
    voice = Voice(rings, 1)
    heard = voice.listener()
    voice.tell(b"x" * LONGEST)
    assert heard() == [b"x" * LONGEST]
    voice.tell(b"short")
    voice.tell(b"x" * (LONGEST + 1))
    assert heard() == [None]


@pytest.mark.parametrize("count", [MESSAGES - 1, MESSAGES, 5 * MESSAGES])
def test_who_comes_too_late_knows_that(rings: Rings, count: int) -> None:
    voice = Voice(rings, 1)
    heard = voice.listener()
    for number in range(count):
        voice.tell(b"%d" % number)
    assert heard() == ([b"%d" % number for number in range(count)] if count < MESSAGES else [None])
    voice.tell(b"after")
    assert heard() == [b"after"]


@given(st.lists(st.tuples(st.sampled_from(["tell", "hear", "turn"]), st.integers(0, 2), st.binary(max_size=30)), max_size=60))
def test_nothing_is_missed(steps: list[tuple[str, int, bytes]]) -> None:
    rings = Rings(3)
    voices = [Voice(rings, seat) for seat in range(3)]
    listeners = [voice.listener() for voice in voices]
    missing: list[list[bytes]] = [[], [], []]
    for what, seat, message in steps:
        if what == "hear":
            heard = listeners[seat]()
            known = [message for message in heard if message is not None]
            if len(known) == len(heard):
                assert sorted(known) == sorted(missing[seat])
            else:
                assert len(missing[seat]) >= MESSAGES
            missing[seat] = []
            continue
        for _ in range(1 if what == "tell" else MESSAGES):
            voices[seat].tell(message)
            for one in missing:
                one.append(message)


@pytest.mark.parametrize("alone", [True, False])
def test_a_store_passes_on_what_it_is_told(rings: Rings, alone: bool) -> None:
    spread: list[str] = []

    async def nothing() -> None:
        """The store's write."""

    def spreading(message: str) -> Awaitable[None]:
        spread.append(message)
        return nothing()

    herald = Herald(spreading, None if alone else Voice(rings, 0), lambda work: asyncio.run(nothing_but(work)))
    heard = herald.listener()
    herald.tell(b"here")
    herald.told("there")
    assert (spread, heard()) == (["here"], [b"there"] if alone else [b"here", b"there"])
    for number in range(MESSAGES + 1):
        herald.told(str(number))
    assert heard() == [None]
    assert heard() == []


async def nothing_but(work: Awaitable[None]) -> None:
    """It is all there is to do."""
    await work


def test_processes_share_it(rings: Rings) -> None:
    heard = Voice(rings, 0).listener()
    process = os.fork()
    if process == 0:
        try:
            Voice(rings, 1).tell(b"from another process")
        finally:
            os._exit(0)
    os.waitpid(process, 0)
    assert heard() == [b"from another process"]
