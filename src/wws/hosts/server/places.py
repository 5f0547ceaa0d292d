"""Places at AI providers that several workers share: a provider that takes two requests at a time gets two, not two from each.

A place is a byte of a file that nobody reads or writes, and who holds the lock on the byte has the place (fcntl(2), record
locks). The kernel gives the locks of a process back when it ends, however it ends, so a place is never lost.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from hashlib import blake2b

from wws.core.resilience.gate import Places

__all__ = ["EXACT", "SharedPlaces"]

EXACT = 256
"""Places of one model that are shared one by one: each that is taken costs a look. Of more each worker has its part."""
_SPAN = 16  # bits for the places of one model


class _Model:
    """The places of one model, and those of them that this process holds."""

    __slots__ = ("_base", "_file", "_held", "_limit")

    def __init__(self, file: int, base: int, held: list[int], limit: int) -> None:
        self._file = file
        self._base = base
        self._held = held
        self._limit = limit

    def take(self) -> bool:
        """See `Places`."""
        held = self._held
        if len(held) >= self._limit:
            return False
        for place in range(self._limit):
            if place not in held:
                try:
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._base + place)
                except OSError:  # EACCES or EAGAIN: another worker has it
                    continue
                held.append(place)
                return True
        return False

    def free(self) -> None:
        """See `Places`."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._base + self._held.pop())


class SharedPlaces:
    """The `Shares` of one of `workers` processes. Made before they are forked; locks are not inherited, so each has its own."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        with tempfile.TemporaryFile() as file:  # closing any descriptor gives all locks back: there is to be one only
            self._file = os.dup(file.fileno())
        self._held: dict[int, list[int]] = {}

    def __call__(self, provider: str, model: str, limit: int) -> tuple[int, Places | None]:
        """How many places this process may have, and the ones it shares."""
        if limit > EXACT:
            return max(1, limit // self._workers), None
        name = blake2b(f"{provider}/{model}".encode(), digest_size=5).digest()
        base = int.from_bytes(name, "big") << _SPAN
        # What requests of a configuration before hold, they hold of the same places.
        return limit, _Model(self._file, base, self._held.setdefault(base, []), limit)

    def close(self) -> None:
        """Gives everything back."""
        os.close(self._file)
