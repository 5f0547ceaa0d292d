"""What crosses between Python and JavaScript (`glue/border.ts`): numbers, texts and bytes, never objects.

Who waits for something gets a number, and is told by `settle`. Awaiting a promise of JavaScript's costs several times as much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from wws.hosts.deno.loop import EdgeLoop
from wws.http import Pair

__all__ = ["CUT", "FAILED", "LATE", "SLOW", "Border", "Told", "fields", "lines"]

FAILED, LATE, CUT, SLOW = -1, -2, -3, -4
"""Statuses of what has not come: see `glue/border.ts`."""
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
# What the platform says of the connection itself, and says anew on the way out.

Told = tuple[int, str, bytes | None]
"""A status, a text and bytes; what was asked says which it has."""


class Border:
    """`glue` is the other side; `octets` makes a `Uint8Array` of bytes."""

    __slots__ = ("_loop", "_number", "_waiting", "glue", "octets")

    def __init__(self, glue: Any, octets: Callable[[bytes], Any], loop: EdgeLoop) -> None:
        self.glue = glue
        self.octets = octets
        self._loop = loop
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Told]] = {}

    def wait(self) -> tuple[int, asyncio.Future[Told]]:
        """The number to ask with, and what will be told."""
        self._number += 1
        told = self._waiting[self._number] = self._loop.create_future()
        return self._number, told

    async def ask(self, what: Callable[..., object], *given: Any) -> Told:
        """Calls a function of the glue with a number of its own before what is `given`; what is told."""
        number, told = self.wait()
        what(number, *given)
        return await told

    def settle(self, number: int, status: int, text: str, data: Any = None) -> None:
        """Called by the glue, once for every number."""
        told = self._waiting.pop(number)
        if not told.done():  # cancelled: nobody waits any more
            self._loop.enter(told.set_result, (status, text, None if data is None else data.to_bytes()))


def fields(head: str) -> list[Pair]:
    """The pairs of a head that came in. Its names are lower case already (Fetch, section 5.1)."""
    if not head:
        return []
    try:
        parts = head.encode("latin-1").split(b"\n")
    except UnicodeEncodeError:  # a value is a ByteString in the Fetch standard, UTF-8 read as text in some runtimes
        parts = [_octets(part) for part in head.split("\n")]
    return list(zip(parts[::2], parts[1::2], strict=True))


def lines(pairs: list[Pair], notes: str = "") -> str:
    """A head on its way out; what `notes` says comes after the pairs."""
    return b"".join([b"%b: %b\r\n" % pair for pair in pairs if pair[0] not in _FRAMING]).decode("latin-1") + notes


def _octets(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()
