"""What crosses between Python and JavaScript (`glue/border.ts`): numbers, texts and bytes, never objects.

Who waits for something gets a number, and is told by `settle`. Awaiting a promise of JavaScript's costs several times as much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
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


class Wait:
    """What a task awaits, as it awaits a future; but it goes on in the very call that tells it, without a turn of the loop.

    One task may wait for it, once. These are the members that asyncio's tasks use.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_loop", "_told")

    def __init__(self, loop: EdgeLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._callback: Callable[[Wait], object] | None = None
        self._context: Context | None = None
        self._told: Told | None = None
        self._cancelled = False

    def __await__(self) -> Generator[Wait, None, Told]:
        if self._told is None:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def get_loop(self) -> EdgeLoop:
        """See `asyncio.Future`."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Wait], object], *, context: Context) -> None:
        """See `asyncio.Future`."""
        self._callback, self._context = callback, context

    def result(self) -> Told:
        """See `asyncio.Future`."""
        if self._told is None:
            raise asyncio.CancelledError
        return self._told

    def cancel(self, msg: object = None) -> bool:
        """See `asyncio.Future`."""
        if self._told is not None or self._cancelled:
            return False
        self._cancelled = True
        if self._callback is not None:
            self._loop.call_soon(self._callback, self, context=self._context)
        return True

    def tell(self, told: Told) -> None:
        """Called from outside of every task."""
        if self._cancelled:  # nobody waits any more
            return
        self._told = told
        if self._callback is not None and self._context is not None:
            self._loop.enter(self._context.run, self._callback, self)


class Border:
    """`glue` is the other side; `octets` makes a `Uint8Array` of bytes."""

    __slots__ = ("_loop", "_number", "_waiting", "glue", "octets")

    def __init__(self, glue: Any, octets: Callable[[bytes], Any], loop: EdgeLoop) -> None:
        self.glue = glue
        self.octets = octets
        self._loop = loop
        self._number = 0
        self._waiting: dict[int, Wait] = {}

    def wait(self) -> tuple[int, Wait]:
        """The number to ask with, and what will be told."""
        self._number += 1
        wait = self._waiting[self._number] = Wait(self._loop)
        return self._number, wait

    async def ask(self, what: Callable[..., object], *given: Any) -> Told:
        """Calls a function of the glue with a number of its own before what is `given`; what is told."""
        self._number = number = self._number + 1
        wait = self._waiting[number] = Wait(self._loop)
        what(number, *given)
        return await wait

    def settle(self, number: int, status: int, text: str, data: Any = None) -> None:
        """Called by the glue, once for every number, and never while Python runs."""
        self._waiting.pop(number).tell((status, text, None if data is None else data.to_bytes()))


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
