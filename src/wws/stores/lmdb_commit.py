"""Group commit: the writes of one process to a synced file, gathered and committed by a thread, many in one transaction.

The event loop never waits for the disk. What is written while one commit is under way goes into the next.

A file that is full is made room in: what has expired goes, then cached answers, which can be had again. Where that is not enough,
writes fail with a `StoreError`, all but removals and those that somebody waits for (API keys, revocations): they have a reserve.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import lmdb

from wws.core.cache.key import STORED_PREFIX
from wws.errors import StoreError
from wws.stores.lmdb_file import File, remove_expired

__all__ = ["Batch", "GroupCommit"]

T = TypeVar("T")
Batch = dict[bytes, bytes | None]
"""Key to record; None: to be removed."""

_MOST_PENDING = 1000
"""Records that may wait for the disk; with more of them writers wait."""
_ROOM_STEP = 1000
"""Records looked at for expired ones when the file is full, at each commit."""
_ROOM_SHARE = 64
"""The part of a full file that is cleared of cached answers at a time."""
_CACHED = STORED_PREFIX.encode()


class GroupCommit:
    """`pending` is not yet handed to the thread, `writing` is being committed: a reader looks there before the file."""

    def __init__(self, file: File, time: Callable[[], float]) -> None:
        self.pending: Batch = {}
        self.writing: Batch = {}
        self._vital: set[bytes] = set()  # of what is pending, what somebody waits for
        self._file = file
        self._time = time
        self._thread = ThreadPoolExecutor(1, "wws-lmdb")
        self._committer: asyncio.Task[None] | None = None
        self._waiting: asyncio.Future[None] | None = None  # the commit of what is pending
        self._failure: Exception | None = None  # of a commit that nobody waited for
        self._closed = False

    async def write(self, key: bytes, record: bytes | None, *, wait: bool) -> None:
        """Takes a write; with `wait` it is on the disk when this returns. Raises `StoreError` for it, or for an earlier one that
        has failed since and that nobody waited for."""
        if self._closed:
            raise StoreError(f"{self._file.path} is closed")
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        self.pending[key] = record
        if wait:
            self._vital.add(key)
        if wait or len(self.pending) >= _MOST_PENDING:
            await self._committed()
        else:
            self._start()

    async def settled(self) -> None:
        """Waits until what is pending now is in the file. A failure is left for the next writer."""
        if self.pending:
            try:
                await self._committed()
            except StoreError as error:
                self._failure = error
        elif self._committer is not None and not self._committer.done():
            await asyncio.shield(self._committer)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Runs other work on the file between two commits."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Commits what is pending, in the calling thread, which is the event loop's where one is running.

        Raises `StoreError` when that fails, or an earlier write did that nobody waited for.
        """
        self._closed = True
        self._thread.shutdown(wait=True)
        batch, self.pending = self.pending, {}
        waiting, self._waiting = self._waiting, None
        failure: Exception | None = None
        if batch:
            try:
                self._failure = self._commit(batch, self._vital) or self._failure
            except StoreError as error:
                failure = error
        if waiting is not None and not waiting.done() and not waiting.get_loop().is_closed():
            _settle(waiting, failure)
        failure = failure or self._failure
        if failure is not None:
            raise failure

    async def _committed(self) -> None:
        self._start()
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._waiting)

    def _start(self) -> None:
        if self._committer is None or self._committer.done():
            self._waiting = None  # may be of an event loop that has ended
            self._committer = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self.pending and not self._closed:
            self.writing, self.pending = self.pending, {}
            vital, self._vital = self._vital, set()
            waiting, self._waiting = self._waiting, None
            failure: Exception | None = None
            try:
                batch = self.writing
                self._failure = await self.in_thread(lambda: self._commit(batch, vital)) or self._failure  # noqa: B023
            except asyncio.CancelledError:
                self.pending = {**self.writing, **self.pending}  # the thread may not have come to it
                self._vital |= vital
                raise
            except Exception as error:
                failure = error
            finally:
                self.writing = {}
            if waiting is None:
                self._failure = failure or self._failure
            elif not waiting.done():
                _settle(waiting, failure)

    def _commit(self, batch: Batch, vital: set[bytes]) -> StoreError | None:
        """In the thread: one transaction, which also removes some of what has expired. What is given back is the failure of
        writes that are not `vital`; that of others is raised."""
        file, now = self._file, self._time()
        try:
            if not file.full() or self._made_room(now):
                _apply(file, batch, file.expired(now, 2 * len(batch)), now)
                return None
            spare = not file.full(reserved=True)
            kept = {key: record for key, record in batch.items() if record is None or (spare and key in vital)}
            _apply(file, kept, [], now)
        except lmdb.Error as error:
            raise file.failed(error) from error
        left = batch.keys() - kept.keys()
        if left & vital:
            raise file.no_room()
        return file.no_room() if left else None

    def _made_room(self, now: float) -> bool:
        """Whether there is room after expired records, and else cached answers, have been removed."""
        file = self._file
        if file.sweep(now, _ROOM_STEP) and not file.full():
            return True
        return bool(file.evict(_CACHED, file.size // _ROOM_SHARE)) and not file.full()


def _settle(waiting: asyncio.Future[None], failure: Exception | None) -> None:
    if failure is None:
        waiting.set_result(None)
    else:
        waiting.set_exception(failure)
        waiting.exception()  # seen, even when every waiter has given up


def _apply(file: File, batch: Batch, expired: list[bytes], now: float) -> None:
    with file.env.begin(write=True) as txn:
        for key in expired:
            remove_expired(txn, key, now)
        for key, record in batch.items():
            if record is None:
                txn.delete(key)
            else:
                txn.put(key, record)
