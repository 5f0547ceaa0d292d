"""The file of counts: each count one record, and the write transaction is the lock that makes it exact across processes.

Where several processes have the store open, each count is a transaction of its own. Where one is alone, as most gateways are,
what is counted in one turn of the event loop shares a transaction: the first count begins it, and it is committed when the
callbacks of the turn are through. The counts it has read are kept decoded, since nobody else can have changed them.

A process that opens the store meanwhile waits, with its first count, for the end of that turn at most: it has told of itself
before, so with the next transaction the first one sees that it is alone no more.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import lmdb

from wws.core.limit import gcra, window
from wws.core.limit.decision import Decision
from wws.core.limit.window import Window
from wws.errors import StoreError
from wws.stores.lmdb_file import EXPIRES, MAX_KEY, File, packed_key
from wws.stores.lmdb_shared import Users

__all__ = ["LmdbCounts"]

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")  # Linux; elsewhere a restart of the machine goes unseen
_HEAD: Final = EXPIRES.size
_SWEEP_EVERY: Final = 64
"""New counts between two small sweeps, each of twice as many records: expired ones cannot pile up."""
_ROOM_STEP: Final = 1000
"""Records looked at for expired ones when the file is full, each time a new count is to go into it."""
_KNOWN: Final = 4096
"""Counts kept decoded, some 700 bytes each."""
_LOOK_EVERY: Final = 4096
"""Counts of a process that is not alone, after which it looks whether it is by now."""


class _Count:
    """One count as it is after the last `take`. What is to be stored of it is in the file when the turn has ended."""

    __slots__ = ("_expires", "_raw", "_state", "_window", "pending")

    def __init__(self, raw: bytes, state: bytes | None) -> None:
        self._raw = raw
        self._state = state  # GCRA's, while there is no window
        self._window: Window | None = None
        self._expires = 0.0
        self.pending = False

    def take(self, limit: int, period: float, cost: int, now: float, burst: int | None) -> Decision:
        """See `Counter`; it is `pending` from then on, where that changes what is to be stored."""
        counted = self._window
        if burst is not None:
            return self._by_burst(limit, period, cost, now, burst)
        if counted is None:
            counted = self._window = Window(self._state)
        decision = counted.take(now, limit, period, cost)
        if counted.changed:
            counted.changed = False
            self._expires, self.pending = now + decision[3], True
        return decision

    def _by_burst(self, limit: int, period: float, cost: int, now: float, burst: int) -> Decision:
        if self._window is not None:  # the limit has been changed
            self._state = self._window = None
        decision, new = gcra.take(self._state, now, limit, period, burst, cost)
        if new is not None:
            self._state, self._expires, self.pending = new, now + decision[3], True
        return decision

    def put(self, txn: lmdb.Transaction[bytes]) -> None:
        """Writes it."""
        state = self._state if self._window is None else self._window.packed()
        txn.put(self._raw, EXPIRES.pack(self._expires) + (state or b""))


class LmdbCounts:
    """The counts in `directory`. Made within `opening`.

    Raises `StoreError` when the file cannot be opened. Errors of the library leave the methods as they are; `file.failed` says
    what to tell of them.
    """

    def __init__(self, directory: Path, map_size: int) -> None:
        self.file = _open(directory, map_size)
        self._users = Users(directory)
        self._call_soon: Callable[[Callable[[], None]], object] | None = None
        self._txn: lmdb.Transaction[bytes] | None = None
        self._known: dict[str, _Count] = {}
        self._pending: list[_Count] = []
        self._failure: StoreError | None = None
        self._new = 0  # new counts since the last small sweep
        self._now = 0.0  # of the last of them
        self._apart = 0  # counts since the last look at the others
        self._full = False  # when it was last looked at

    def of_turns(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        """What is counted from now on in one turn is committed when `call_soon` calls back, while this process is alone."""
        self._call_soon = call_soon

    def take(self, key: str, limit: int, period: float, cost: int, now: float, burst: int | None) -> Decision:
        """See `Counter`. Raises the `StoreError` of a turn whose counts could not be stored, once."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        count = self._known.get(key)
        if count is None and self._full:
            self.commit()
            self._room_for(_raw(key), now)
        txn = self._txn
        if txn is None:
            txn = self._begun()
            if txn is None:
                return self._take_apart(_raw(key), limit, period, cost, now, burst)
        if count is None:
            count = self._read(txn, key, now)
        pending = count.pending
        decision = count.take(limit, period, cost, now, burst)
        if count.pending and not pending:
            self._pending.append(count)
            if self._new >= _SWEEP_EVERY:
                self.commit()
        return decision

    def give(self, key: str, limit: int, period: float, cost: int, now: float, burst: int | None) -> None:
        """See `Counter`."""
        self.commit()
        known = self._known.pop(key, None)
        if known is not None and known.pending:  # its commit has failed
            self._pending.remove(known)
        raw = _raw(key)
        with self.file.env.begin(write=True) as txn:
            record = txn.get(raw)
            if record is None:
                return
            state = record[_HEAD:]
            if burst is None:
                new = window.give(state, now, limit, period, cost)
            else:
                new = gcra.give(state, now, limit, period, burst, cost)
            if new is not None:
                txn.put(raw, record[:_HEAD] + new)

    def commit(self) -> None:
        """Ends the transaction of this turn. What could not be stored still counts and is tried again; the next `take` tells."""
        txn, self._txn = self._txn, None
        if txn is None:
            return
        try:
            if self._pending:
                self._put(txn)
                txn.commit()
                self._stored()
            else:
                txn.abort()
            if self._new >= _SWEEP_EVERY:
                self._tidy()
        except lmdb.Error as error:
            txn.abort()
            self._failure = self.file.failed(error)
            self._full = True  # or something else is wrong with the file, which the next new count finds out
        except BaseException:
            txn.abort()
            raise

    def sweep(self, now: float, max_entries: int) -> int:
        """See `File.sweep`."""
        self.commit()
        return self.file.sweep(now, max_entries)

    def close(self) -> None:
        """Stores what is not stored yet, and closes. Raises `StoreError`."""
        try:
            self.commit()
        finally:
            self.file.close()
            self._users.close()
        if self._failure is not None:
            raise self._failure

    # alone: a transaction for each turn

    def _begun(self) -> lmdb.Transaction[bytes] | None:
        """The transaction of this turn, begun now; None where this process is not alone."""
        call_soon, users = self._call_soon, self._users
        if call_soon is None:
            return None
        if not users.alone:
            self._apart += 1
            if self._apart % _LOOK_EVERY or not users.look():
                return None
        call_soon(self.commit)
        txn = self.file.env.begin(None, None, True)
        if users.joined():  # asked with the lock in hand: nobody has written before and told of himself after
            txn.abort()
            self._known.clear()
            self._pending.clear()
            return None
        self._txn = txn
        return txn

    def _read(self, txn: lmdb.Transaction[bytes], key: str, now: float) -> _Count:
        """A count as it is in the file."""
        if len(self._known) >= _KNOWN:
            self._put(txn)
            self._stored()
            self._known.clear()
        raw = _raw(key)
        record = txn.get(raw)
        if record is None:
            self._new += 1
            self._now = now
        count = self._known[key] = _Count(raw, None if record is None else record[_HEAD:])
        return count

    def _put(self, txn: lmdb.Transaction[bytes]) -> None:
        for count in self._pending:
            count.put(txn)

    def _stored(self) -> None:
        for count in self._pending:
            count.pending = False
        self._pending.clear()

    # among others: a transaction for each count

    def _take_apart(self, raw: bytes, limit: int, period: float, cost: int, now: float, burst: int | None) -> Decision:
        txn = self.file.env.begin(None, None, True)
        try:
            record = txn.get(raw)
            state = None if record is None else record[_HEAD:]
            if burst is None:
                decision, new = window.take(state, now, limit, period, cost)
            else:
                decision, new = gcra.take(state, now, limit, period, burst, cost)
            if new is None:
                txn.abort()
            else:
                txn.put(raw, EXPIRES.pack(now + decision[3]) + new)
                txn.commit()
        except BaseException:
            txn.abort()
            raise
        if record is None:
            self._new += 1
            self._now = now
            if self._new >= _SWEEP_EVERY:
                self._tidy()
        return decision

    # room

    def _tidy(self) -> None:
        """Removes some of what has expired."""
        self._new = 0
        self.file.sweep(self._now, 2 * _SWEEP_EVERY)
        self._full = self.file.full()

    def _room_for(self, raw: bytes, now: float) -> None:
        """Makes room for a count in a full file, by a bounded step. Raises `StoreError` when a new one finds none."""
        with self.file.env.begin() as txn:
            if txn.get(raw) is not None:
                return
        self.file.sweep(now, _ROOM_STEP)
        self._full = self.file.full()
        if self._full:
            raise self.file.no_room()


def _raw(key: str) -> bytes:
    raw = key.encode()
    return raw if len(raw) <= MAX_KEY else packed_key(raw)


def _open(directory: Path, map_size: int) -> File:
    """The file of counts, a new one when the machine was started since or the old one cannot be read."""
    path, mark = directory / "counters.mdb", directory / "counters.boot"
    boot = _BOOT_ID.read_text() if _BOOT_ID.exists() else "unknown"
    if not mark.exists() or mark.read_text() != boot:
        _remove(path)
        mark.write_text(boot)
    try:
        return File(path, map_size, sync=False)
    except StoreError as error:
        if not isinstance(error.__cause__, lmdb.CorruptedError | lmdb.InvalidError | lmdb.VersionMismatchError):
            raise
        _remove(path)
        return File(path, map_size, sync=False)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + "-lock").unlink(missing_ok=True)
