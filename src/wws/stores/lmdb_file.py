"""One LMDB file of records that expire: opening, keys, reading over, and removing what has expired in bounded steps.

A record is its expiry (wall seconds, float64, infinity for never) and what follows. LMDB takes keys of at most 511 bytes; a
longer one keeps its first bytes and ends in a digest behind 0xFF, a byte that UTF-8 never has.
"""

from __future__ import annotations

import errno
from hashlib import sha256
from pathlib import Path
from struct import Struct

import lmdb

from wws.errors import StoreError

__all__ = ["EXPIRES", "HASHED", "MAX_KEY", "NEVER", "File", "packed_key"]

EXPIRES = Struct("<d")
NEVER = float("inf")
MAX_KEY = 511
HASHED = 0xFF
PLAIN = MAX_KEY - 33
"""Bytes of a long key that stay as they are; the mark and the digest are 33."""


def packed_key(raw: bytes) -> bytes:
    """The file's key for the UTF-8 bytes of a name."""
    return raw if len(raw) <= MAX_KEY else b"%b\xff%b" % (raw[:PLAIN], sha256(raw).digest())


_RESERVE = 1024 * 1024
_EVICTED = 1000
"""Records that are removed to make room, at most, in one step."""


class File:
    """An open LMDB file. Nothing but `StoreError` leaves it.

    With `sync` every commit is on the disk when it returns. Without, commits are left to the kernel: they survive the end of
    the process, kill -9 included, but a power cut may leave the file unreadable.
    Must be opened in the process that uses it: an LMDB environment does not survive a fork.

    `size` is for the records. The file may grow beyond it by a reserve of a quarter: half of it is for what must be written even
    then (`full(reserved=True)`), half because LMDB writes changed pages anew: in a file that is full to the last page nothing
    can even be removed.
    """

    def __init__(self, path: Path, size: int, *, sync: bool) -> None:
        self.path = path
        self.size = size
        self._position = b""  # where the next sweep goes on
        self._evicted = b""  # where the next eviction goes on
        try:
            self.env = lmdb.open(
                str(path),
                map_size=size + size // 4 + _RESERVE,
                subdir=False,
                mode=0o600,
                sync=sync,
                # Measured on one counter's read-and-write: 1.4 us with a writable map, 4.5 us without.
                writemap=not sync,
                map_async=not sync,
                max_spare_txns=4,
            )
            self.env.reader_check()  # slots of processes that were killed
        except (lmdb.Error, OSError) as error:
            raise self.failed(error) from error

    def failed(self, error: Exception) -> StoreError:
        """What to tell of an error of the library."""
        if isinstance(error, lmdb.MapFullError):
            return self.no_room()
        if isinstance(error, lmdb.CorruptedError | lmdb.InvalidError | lmdb.PanicError | lmdb.VersionMismatchError):
            return StoreError(f"{self.path} is damaged or no store of this version: move it away and restart ({error})")
        if isinstance(error, lmdb.DiskError) or getattr(error, "code", None) in (errno.ENOSPC, errno.EIO):
            return StoreError(f"{self.path} cannot be written: look at the disk ({error})")
        return StoreError(f"{self.path}: {error}")

    def no_room(self) -> StoreError:
        """What to tell of a full file."""
        size = f"{self.size / 2**20:g} MiB"
        return StoreError(f"{self.path} is full at {size}: give it more, for example lmdb:PATH?map_size=1GiB in [kv] store")

    @property
    def used(self) -> int:
        """Bytes of the pages that hold records."""
        stat = self.env.stat()
        return int((stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]) * stat["psize"])

    def full(self, *, reserved: bool = False) -> bool:
        """Whether the records take all the room they may; `reserved`: with what is kept for those that must be written."""
        return self.used >= self.size + (self.size // 8 if reserved else 0)

    def expired(self, now: float, max_entries: int) -> list[bytes]:
        """Keys that have expired among the next `max_entries`; where the file ends the next call starts over."""
        found: list[bytes] = []
        with self.env.begin(buffers=True) as txn, txn.cursor() as cursor:
            more = cursor.set_range(self._position) if self._position else cursor.first()
            for _ in range(max_entries):
                if not more:
                    break
                if EXPIRES.unpack_from(cursor.value())[0] <= now:
                    found.append(bytes(cursor.key()))
                more = cursor.next()
            self._position = bytes(cursor.key()) if more else b""
        return found

    def sweep(self, now: float, max_entries: int) -> int:
        """Removes the expired ones of the next `max_entries` records: how many there were."""
        keys = self.expired(now, max_entries)
        if not keys:
            return 0
        with self.env.begin(write=True) as txn:
            return sum([remove_expired(txn, key, now) for key in keys])

    def evict(self, prefix: bytes, room: int) -> int:
        """Removes records whose keys begin with `prefix`, expired or not, until `room` bytes of them are gone, going on where the
        last call ended: how many, at most a thousand."""
        freed = count = 0
        with self.env.begin(write=True) as txn, txn.cursor() as cursor:
            more = cursor.set_range(max(self._evicted, prefix))
            if not (more and bytes(cursor.key()).startswith(prefix)):
                more = cursor.set_range(prefix)
            while more and freed < room and count < _EVICTED and bytes(cursor.key()).startswith(prefix):
                freed += len(cursor.key()) + len(cursor.value())
                count += 1
                more = cursor.delete()  # which moves to the next record
            self._evicted = bytes(cursor.key()) if more else b""
        return count

    def close(self) -> None:
        """Writes to the disk what is not there yet, and closes."""
        try:
            self.env.sync(True)
        except lmdb.Error as error:
            raise self.failed(error) from error
        finally:
            self.env.close()


def remove_expired(txn: lmdb.Transaction[bytes], key: bytes, now: float) -> bool:
    """Removes one record, unless another process has renewed it meanwhile."""
    record = txn.get(key)
    return record is not None and EXPIRES.unpack_from(record)[0] <= now and txn.delete(key)
