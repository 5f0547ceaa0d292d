"""Transactions on a synced LMDB file, written by a thread in turns: all that is asked for during one sync shares the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import lmdb

from wws.errors import StoreError
from wws.stores.lmdb_file import File

__all__ = ["Turns"]

T = TypeVar("T")
_Txn = Any  # lmdb's transaction
_MOST = 256
"""Pieces of work in one transaction."""


class Turns:
    """Work on one file. What a piece of work raises undoes that piece alone."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, "wws-jobs")
        self._waiting: list[tuple[Callable[[_Txn], Any], asyncio.Future[Any]]] = []
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    def read(self, work: Callable[[_Txn], T]) -> T:
        """What `work` reads, at once. Raises `StoreError`."""
        self._check()
        try:
            with self._file.env.begin() as txn:
                return work(txn)
        except lmdb.Error as error:
            raise self._file.failed(error) from error

    async def write(self, work: Callable[[_Txn], T]) -> T:
        """The result of `work` when it is on the disk. Raises `StoreError`, and what `work` does.

        A caller that is cancelled meanwhile leaves it open whether the work is done.
        """
        self._check()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())
        return await future

    def close(self) -> None:
        """Waits for the thread and closes the file. What still waits for its turn fails."""
        if self._closed:
            return
        self._closed = True
        self._thread.shutdown(wait=True)
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if not future.done() and not future.get_loop().is_closed():
                future.set_exception(StoreError(f"{self._file.path} is closed"))
                future.exception()  # seen, even when nobody waits any more
        self._file.close()

    def _check(self) -> None:
        if self._closed:
            raise StoreError(f"{self._file.path} is closed")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and not self._closed:
            turn, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            try:
                results = await loop.run_in_executor(self._thread, self._turn, [work for work, _ in turn])
            except BaseException as error:
                failure = error if isinstance(error, StoreError) else StoreError(f"{self._file.path}: {error!r}")
                results = [(None, failure)] * len(turn)
                if not isinstance(error, Exception):
                    self._settle(turn, results)
                    raise
            self._settle(turn, results)

    def _settle(self, turn: list[Any], results: list[tuple[Any, Exception | None]]) -> None:
        for (_, future), (value, error) in zip(turn, results, strict=True):
            if future.done():  # cancelled
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

    def _turn(self, works: list[Callable[[_Txn], Any]]) -> list[tuple[Any, Exception | None]]:
        """In the thread: one transaction, each piece of work in one of its own inside it."""
        results: list[tuple[Any, Exception | None]] = []
        try:
            with self._file.env.begin(write=True) as txn:
                for work in works:
                    try:
                        with self._file.env.begin(write=True, parent=txn) as inner:
                            results.append((work(inner), None))
                    except lmdb.Error:
                        raise
                    except Exception as error:
                        results.append((None, error))
        except lmdb.Error as error:
            raise self._file.failed(error) from error
        return results
