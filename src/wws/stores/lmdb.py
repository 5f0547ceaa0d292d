"""The store `lmdb:DIRECTORY`: one machine, any number of processes, kept across restarts.

Two files, because values and counts need different promises:

    kv.mdb        Values. Every commit is synced, by a thread, many writes in one commit: the event loop never waits for the disk
                  and the file stays whole whatever happens. A `put` returns at once and is on the disk some milliseconds
                  later (a power cut or kill -9 loses those milliseconds); `put(durable=True)` and `delete` return when it is.
                  Other processes see a write when it is committed.
    counters.mdb  Counts (lmdb_counts.py). The write transaction makes them exact across processes. They are never synced: a
                  process that dies loses none, but what a power cut leaves of them cannot be trusted, so counting begins
                  anew after the machine has been started again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from typing import Final

import lmdb

from wws.bindings import Clock, Kept, KeyPage, SystemClock
from wws.core.limit.decision import Decision
from wws.errors import StoreError
from wws.stores.lmdb_commit import GroupCommit
from wws.stores.lmdb_counts import LmdbCounts
from wws.stores.lmdb_file import EXPIRES, HASHED, MAX_KEY, NEVER, PLAIN, File, packed_key
from wws.stores.lmdb_shared import opening, shared_number

__all__ = ["LmdbStore"]

MAP_SIZE: Final = 256 * 1024 * 1024
"""Bytes each file may grow to; a file takes room on the disk only for what is in it."""

_NAME: Final = Struct("<H")
_SCANNED: Final = 10_000
"""Records looked at for one page of `list`: where many have expired the page is short."""
_HEAD: Final = EXPIRES.size


class LmdbStore:
    """KV and Counter in a directory. Raises `StoreError` when it cannot be opened: one object per directory and process.

    Open it after a fork, never before.
    """

    consistency = "exact across the processes of one machine"

    def __init__(self, path: str | Path, clock: Clock | None = None, map_size: int = MAP_SIZE) -> None:
        self.path = Path(path)
        self._time = (clock or SystemClock()).time
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with opening(self.path):
                self._kv = File(self.path / "kv.mdb", map_size, sync=True)
                try:
                    self._counts = LmdbCounts(self.path, map_size)
                except StoreError:
                    self._kv.close()
                    raise
        except OSError as error:
            raise StoreError(f"{self.path} cannot be used as a store: {error.strerror}") from error
        self._writes = GroupCommit(self._kv, self._time)
        self._mark = shared_number(self.path / "epoch")
        self._closed = False

    def epoch(self) -> int:
        """See `KV`."""
        return self._mark[0]

    def _taken_back(self) -> None:
        """Tells every process. A random number, since two that add one to the same would look like one change."""
        if not self._closed:
            self._mark[0] = secrets.randbits(63)

    async def get(self, key: str) -> bytes | None:
        """See `KV`."""
        raw = key.encode()
        if len(raw) > MAX_KEY:
            raw = packed_key(raw)
        writes = self._writes
        if raw in writes.pending:
            record = writes.pending[raw]
        elif raw in writes.writing:
            record = writes.writing[raw]
        else:
            try:
                txn = self._kv.env.begin()
                record = txn.get(raw)
                txn.abort()
            except lmdb.Error as error:
                raise self._kv.failed(error) from error
        if record is None or EXPIRES.unpack_from(record)[0] <= self._time():
            return None
        if len(raw) == MAX_KEY and raw[PLAIN] == HASHED:
            return record[_HEAD + _NAME.size + _NAME.unpack_from(record, _HEAD)[0] :]
        return record[_HEAD:]

    async def kept(self, key: str) -> Kept | None:
        """See `WholeStore`."""
        await self._writes.settled()
        value = await self.get(key)
        try:
            with self._kv.env.begin() as txn:
                record = txn.get(packed_key(key.encode()))
        except lmdb.Error as error:
            raise self._kv.failed(error) from error
        if value is None or record is None:
            return None
        expires = EXPIRES.unpack_from(record)[0]
        return Kept(value, None if expires == NEVER else expires)

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        """See `KV`. When an earlier write that nobody waited for has failed since, its `StoreError` is raised here."""
        name = key.encode()
        raw = packed_key(name)
        data = value.encode() if isinstance(value, str) else value
        head = EXPIRES.pack(NEVER if expiration_ttl is None else self._time() + expiration_ttl)
        if raw is not name:
            head += _NAME.pack(len(name)) + name
        await self._writes.write(raw, head + data, wait=durable)
        if durable:
            self._taken_back()

    async def delete(self, key: str) -> None:
        """See `KV`. Returns when it is on the disk."""
        await self._writes.write(packed_key(key.encode()), None, wait=True)
        self._taken_back()

    async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> KeyPage:
        """See `KV`. Names longer than 511 bytes that begin with the same 478 come in no particular order.

        A page may hold fewer names than `limit` and still have a cursor, which is the last name looked at.
        """
        if not 1 <= limit <= 1000:
            raise ValueError(f"limit is 1 to 1000, not {limit}")
        await self._writes.settled()
        after = None if cursor is None else packed_key(cursor.encode())
        try:
            return _page(self._kv, prefix, after, limit, self._time())
        except lmdb.Error as error:
            raise self._kv.failed(error) from error

    async def take(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> Decision:
        """See `Counter`."""
        return self.take_now(key, limit, period, cost, now, burst)

    def take_now(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, burst: int | None = None
    ) -> Decision:
        """See `Counter`."""
        try:
            return self._counts.take(key, limit, period, cost, self._time() if now is None else now, burst)
        except lmdb.Error as error:
            raise self._counts.file.failed(error) from error

    async def give(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> None:
        """See `Counter`."""
        try:
            self._counts.give(key, limit, period, cost, self._time() if now is None else now, burst)
        except lmdb.Error as error:
            raise self._counts.file.failed(error) from error

    def of_turns(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        """From now on counts of one turn of the event loop may share a transaction, which `call_soon` ends."""
        self._counts.of_turns(call_soon)

    async def sweep(self, max_entries: int = 1000) -> int:
        """Removes expired records among the next `max_entries` of each file, going on where the last call ended: how many.

        The store does this by itself as it is written to; this is for one that is no longer.
        """
        now = self._time()
        try:
            removed = self._counts.sweep(now, max_entries)
            return removed + await self._writes.in_thread(lambda: self._kv.sweep(now, max_entries))
        except lmdb.Error as error:
            raise StoreError(f"{self.path}: {error}") from error

    def files(self) -> tuple[tuple[str, int, int], ...]:
        """Each file's name, the bytes its records take, and those they may take."""
        try:
            return tuple([(file.path.name, file.used, file.size) for file in (self._kv, self._counts.file)])
        except lmdb.Error as error:
            raise self._kv.failed(error) from error

    def close(self) -> None:
        """Commits what is pending and closes. The store cannot be used afterwards; closing twice is no error."""
        if self._closed:
            return
        self._closed = True
        try:
            self._writes.close()
        finally:
            self._kv.close()
            self._counts.close()


def _page(file: File, prefix: str, after: bytes | None, limit: int, now: float) -> KeyPage:
    """Names with `prefix` behind the key `after`."""
    common = prefix.encode()[:PLAIN]  # what the keys of all such names begin with
    start = common if after is None else max(after, common)
    names: list[str] = []
    name = ""
    with file.env.begin(buffers=True) as txn, txn.cursor() as cursor:
        more = cursor.set_range(start) if start else cursor.first()
        if more and bytes(cursor.key()) == after:
            more = cursor.next()
        for looked_at in range(_SCANNED + 1):
            raw = bytes(cursor.key())
            if not more or not raw.startswith(common):
                return KeyPage(names, None)
            if len(names) == limit or looked_at == _SCANNED:
                break
            name = _name(raw, cursor.value())
            if name.startswith(prefix) and EXPIRES.unpack_from(cursor.value())[0] > now:
                names.append(name)
            more = cursor.next()
    return KeyPage(names, name)


def _name(raw: bytes, record: bytes | memoryview) -> str:
    """The name a record was put under."""
    if len(raw) < MAX_KEY or raw[PLAIN] != HASHED:
        return raw.decode()
    start = _HEAD + _NAME.size
    return bytes(record[start : start + _NAME.unpack_from(record, _HEAD)[0]]).decode()
