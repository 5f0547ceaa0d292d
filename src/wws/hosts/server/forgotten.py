"""What processes tell each other of cached answers that have changed: workers in memory that they share, gateways by their store.

Each worker writes into a ring of its own and reads those of all, so there is nothing to lock: a message is written first and
counted then. Whoever has not read for so long that a ring went round, or reads while it does, is told that anything may have
changed.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Awaitable, Callable
from typing import Final
from weakref import WeakSet

from wws.bindings import Forgotten

__all__ = ["Herald", "Rings", "Voice"]

MESSAGES: Final = 64
"""Messages of a worker that are kept for the others."""
LONGEST: Final = 1022
"""Bytes of a message; of a longer one is told only that there was one."""
_COUNT: Final = struct.Struct("=Q")
_LENGTH: Final = struct.Struct("=H")
_SLOT: Final = _LENGTH.size + LONGEST
_TOO_LONG: Final = 0xFFFF


class Rings:
    """The rings of so many seats. Made before the workers are forked."""

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self.heads = seats * _COUNT.size
        self.memory = mmap.mmap(-1, self.heads + seats * MESSAGES * _SLOT)

    def count(self, seat: int) -> int:
        """How many messages there were from `seat`."""
        number: int = _COUNT.unpack_from(self.memory, seat * _COUNT.size)[0]
        return number

    def write(self, seat: int, message: bytes) -> None:
        """One more from `seat`, whose worker alone calls this."""
        number = self.count(seat)
        at = self._place(seat, number)
        if len(message) > LONGEST:
            _LENGTH.pack_into(self.memory, at, _TOO_LONG)
        else:
            _LENGTH.pack_into(self.memory, at, len(message))
            self.memory[at + _LENGTH.size : at + _LENGTH.size + len(message)] = message
        _COUNT.pack_into(self.memory, seat * _COUNT.size, number + 1)

    def read(self, seat: int, number: int) -> bytes | None:
        """Message `number` of `seat`, None for one that was too long. What stands there may be a later one by now."""
        at = self._place(seat, number)
        length: int = _LENGTH.unpack_from(self.memory, at)[0]
        return None if length > LONGEST else self.memory[at + _LENGTH.size : at + _LENGTH.size + length]

    def _place(self, seat: int, number: int) -> int:
        return self.heads + (seat * MESSAGES + number % MESSAGES) * _SLOT


class Voice:
    """`bindings.Forgotten` of the worker at `seat`."""

    __slots__ = ("_rings", "_seat")

    def __init__(self, rings: Rings, seat: int) -> None:
        self._rings = rings
        self._seat = seat

    def tell(self, message: bytes) -> None:
        """See `bindings.Forgotten`."""
        self._rings.write(self._seat, message)

    def listener(self) -> Callable[[], list[bytes | None]]:
        """See `bindings.Forgotten`."""
        return _Listener(self._rings)


class _Listener:
    __slots__ = ("_rings", "_seen")

    def __init__(self, rings: Rings) -> None:
        self._rings = rings
        self._seen = rings.memory[: rings.heads]

    def __call__(self) -> list[bytes | None]:
        rings = self._rings
        now = rings.memory[: rings.heads]
        if now == self._seen:
            return []
        before, self._seen = self._seen, now
        told: list[bytes | None] = []
        for seat, ((old,), (new,)) in enumerate(zip(_COUNT.iter_unpack(before), _COUNT.iter_unpack(now), strict=True)):
            if old != new:
                told += self._from(seat, old, new)
        return told

    def _from(self, seat: int, old: int, new: int) -> list[bytes | None]:
        rings = self._rings
        found: list[bytes | None]
        found = [rings.read(seat, number) for number in range(old, new)] if 0 < new - old < MESSAGES else [None]
        overtaken = not 0 <= rings.count(seat) - old < MESSAGES  # the one that is written next stands where `old` did
        return [None] if overtaken or None in found else found


class Herald:
    """`bindings.Forgotten` of a process whose store passes messages on to other gateways, a moment later: `spread` has it do so,
    and `told` is to be called with each that comes."""

    __slots__ = ("_background", "_listeners", "_spread", "_voice")

    def __init__(
        self,
        spread: Callable[[str], Awaitable[None]],
        voice: Forgotten | None,
        background: Callable[[Awaitable[None]], object],
    ) -> None:
        self._spread = spread
        self._voice = voice
        self._background = background
        self._listeners: WeakSet[_Inbox] = WeakSet()

    def tell(self, message: bytes) -> None:
        """See `bindings.Forgotten`."""
        if self._voice is not None:
            self._voice.tell(message)
        self._background(self._spread(message.decode()))

    def listener(self) -> Callable[[], list[bytes | None]]:
        """See `bindings.Forgotten`."""
        made = _Inbox(None if self._voice is None else self._voice.listener())
        self._listeners.add(made)
        return made

    def told(self, message: str) -> None:
        """One has come."""
        for one in self._listeners:
            one.put(message.encode())


class _Inbox:
    __slots__ = ("__weakref__", "_here", "_there")

    def __init__(self, here: Callable[[], list[bytes | None]] | None) -> None:
        self._here = here
        self._there: list[bytes | None] = []

    def put(self, message: bytes) -> None:
        """From another gateway."""
        self._there = [*self._there, message] if len(self._there) < MESSAGES else [None]

    def __call__(self) -> list[bytes | None]:
        there, self._there = self._there, []
        return there if self._here is None else [*self._here(), *there]
