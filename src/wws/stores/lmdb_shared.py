"""What the processes that have one LMDB store open know of one another."""

from __future__ import annotations

import fcntl
import mmap
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Users", "opening", "shared_number"]


def shared_number(path: Path) -> memoryview:
    """Eight bytes that all processes see, as one number."""
    with path.open("a+b") as file:
        if file.tell() < 8:
            file.truncate(8)
        shared = mmap.mmap(file.fileno(), 8)
    return memoryview(shared).cast("q")


@contextmanager
def opening(directory: Path, *, wait: bool = True) -> Iterator[None]:
    """One process at a time opens the store. Raises `BlockingIOError` when another does, unless it is to `wait` for it."""
    with (directory / "opening.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


class Users:
    """Whether other processes have the store of `directory` open. Made within `opening`.

    Each holds a shared lock while it has the store open, which the kernel takes back from one that is killed: who gets the lock
    exclusively is alone at that moment. And each writes a token of its own into a number that all of them see, before it does
    anything else: who reads another's there is alone no more.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = (directory / "counters.users").open("w")
        self._last = shared_number(directory / "counters.last")
        self._token = secrets.randbits(62) + 1
        self.alone = self._looked()
        """As of the last look; `joined` tells whether it still holds."""

    def joined(self) -> bool:
        """Whether another process has opened the store since the last look; then this one is not `alone` either."""
        if self._last[0] == self._token:
            return False
        self.alone = False
        return True

    def look(self) -> bool:
        """Looks again, unless another process is opening the store just now: whether this one is alone."""
        try:
            with opening(self._directory, wait=False):
                self.alone = self._looked()
        except BlockingIOError:
            self.alone = False
        return self.alone

    def close(self) -> None:
        """This process no longer has the store open."""
        self._lock.close()

    def _looked(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            alone = False
        # flock(2): changing a lock lets go of it first, even where that fails; nobody else looks or opens meanwhile.
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        self._last[0] = self._token
        return alone
