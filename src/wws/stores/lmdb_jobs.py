"""Claims and queues in a third file of the store `lmdb:DIRECTORY`, shared by the processes of one machine.

`jobs.mdb` is synced: what is sent is on the disk before `send` returns. A thread writes, all that is asked for meanwhile in
one transaction, so the event loop never waits for the disk. Keys, each part ended by a zero byte:

    c NAME            until when a claim holds
    q QUEUE           how many live messages and dead letters there are, and the number of the last one sent
    m QUEUE ID        a live message
    d QUEUE DUE ID    nothing: live messages in the order they are due
    x QUEUE DIED ID   a dead letter
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from struct import Struct
from typing import Any

from wws.bindings import Clock, SystemClock
from wws.core.queue.delivery import Settlement, gather
from wws.core.queue.message import Counts, Message
from wws.errors import QueueFull
from wws.stores.job_record import record, stored
from wws.stores.lmdb_file import EXPIRES, File, packed_key
from wws.stores.lmdb_turns import Turns

__all__ = ["LmdbJobs"]

MAP_SIZE = 256 * 1024 * 1024
"""Bytes the file may grow to: 2,000 of the largest messages, or some hundred thousand of the usual."""
SWEPT = 16
"""Expired claims removed with each new one."""

_COUNTS = Struct("<IIQ")
_Txn = Any  # lmdb's transaction


class LmdbJobs:
    """Claims and Queues in a directory. Open it after a fork, never before; one object per directory and process.

    Raises `StoreError` when it cannot be opened, with `ValueError` for a directory that is no store's.
    """

    def __init__(self, path: Path, clock: Clock | None = None, map_size: int = MAP_SIZE) -> None:
        self._time = (clock or SystemClock()).time
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = File(path / "jobs.mdb", map_size, sync=True)
        self._turns = Turns(self._file)

    async def claim(self, name: str, ttl: float) -> bool:
        """See `Claims`."""
        key = _key("c", name)

        def work(txn: _Txn) -> bool:
            now, held = self._time(), txn.get(key)
            if held is not None and EXPIRES.unpack(held)[0] > now:
                return False
            for other, until in list(_range(txn, _key("c"), SWEPT)):
                if EXPIRES.unpack(until)[0] <= now:
                    txn.delete(other)
            txn.put(key, EXPIRES.pack(now + ttl))
            return True

        return await self._turns.write(work)

    async def release(self, name: str) -> None:
        """See `Claims`."""
        await self._turns.write(lambda txn: txn.delete(_key("c", name)))

    async def send(self, queue: str, bodies: Sequence[bytes], delay: float = 0.0, most: int = 100_000) -> list[str]:
        """See `Queues`."""

        def work(txn: _Txn) -> list[str]:
            live, dead, number = _counted(txn, queue)
            if live + dead + len(bodies) > most:
                raise QueueFull(queue, most)
            if self._file.full():
                raise self._file.no_room()
            now = self._time()
            messages = [Message(f"{at:016x}", body, now, now + delay) for at, body in enumerate(bodies, number + 1)]
            for message in messages:
                _put(txn, queue, message)
            _count(txn, queue, live + len(messages), dead, number + len(messages))
            return [message.id for message in messages]

        return await self._turns.write(work)

    async def lease(self, queue: str, most: int, visibility: float, patience: float = 0.0) -> tuple[list[Message], float]:
        """See `Queues`. A queue with nothing to deliver is only read, which waits for nobody."""

        def look(txn: _Txn) -> tuple[list[tuple[float, str]], int, float]:
            first = [_due_of(key) for key, _ in _range(txn, _key("d", queue), most)]
            return first, *gather([due for due, _ in first], self._time(), most, patience)

        def work(txn: _Txn) -> tuple[list[Message], float]:
            first, ready, wait = look(txn)
            now, leased = self._time(), []
            for _, name in first[:ready]:
                known = stored(name, txn.get(_key("m", queue, name)))
                message = replace(known, due=now + visibility, attempts=known.attempts + 1, receipt=os.urandom(8).hex())
                txn.delete(_due(queue, known.due, name))
                _put(txn, queue, message)
                leased.append(message)
            return leased, wait

        _, ready, wait = self._turns.read(look)
        return await self._turns.write(work) if ready else ([], wait)

    async def settle(self, queue: str, settlements: Sequence[Settlement]) -> int:
        """See `Queues`."""

        def work(txn: _Txn) -> int:
            live, dead, number = _counted(txn, queue)
            now, settled = self._time(), 0
            for message, action, delay, reason in settlements:
                held = txn.get(_key("m", queue, message.id))
                if held is None or (known := stored(message.id, held)).receipt != message.receipt:
                    continue
                settled += 1
                txn.delete(_due(queue, known.due, known.id))
                if action == "retry":
                    _put(txn, queue, replace(known, due=now + delay, receipt=""))
                    continue
                txn.delete(_key("m", queue, known.id))
                live -= 1
                if action == "dead":
                    dead += 1
                    letter = replace(known, due=now, receipt="", reason=reason)
                    txn.put(_letter(queue, letter), record(letter))
            _count(txn, queue, live, dead, number)
            return settled

        return await self._turns.write(work)

    async def counts(self, queue: str) -> Counts:
        """See `Queues`."""

        def work(txn: _Txn) -> Counts:
            live, dead, _ = _counted(txn, queue)
            now, ready = self._time(), 0
            for key, _ in _range(txn, _key("d", queue), live):
                if _due_of(key)[0] > now:
                    break
                ready += 1
            return Counts(ready, live - ready, dead)

        return self._turns.read(work)

    async def peek(self, queue: str, limit: int = 10, *, dead: bool = False) -> list[Message]:
        """See `Queues`."""

        def work(txn: _Txn) -> list[Message]:
            if dead:
                return [stored(_due_of(key)[1], data) for key, data in _range(txn, _key("x", queue), limit)]
            names = [_due_of(key)[1] for key, _ in _range(txn, _key("d", queue), limit)]
            return [stored(name, txn.get(_key("m", queue, name))) for name in names]

        return self._turns.read(work)

    async def redrive(self, queue: str, limit: int = 1000) -> int:
        """See `Queues`."""

        def work(txn: _Txn) -> int:
            live, dead, number = _counted(txn, queue)
            letters = list(_range(txn, _key("x", queue), limit))
            for key, data in letters:
                txn.delete(key)
                _put(txn, queue, replace(stored(_due_of(key)[1], data), due=self._time(), attempts=0, reason=""))
            _count(txn, queue, live + len(letters), dead - len(letters), number)
            return len(letters)

        return await self._turns.write(work)

    async def purge(self, queue: str, *, dead: bool = False) -> int:
        """See `Queues`."""

        def work(txn: _Txn) -> int:
            live, letters, number = _counted(txn, queue)
            for kind in ("x",) if dead else ("m", "d"):
                for key, _ in list(_range(txn, _key(kind, queue), live + letters)):
                    txn.delete(key)
            _count(txn, queue, live if dead else 0, 0 if dead else letters, number)
            return letters if dead else live

        return await self._turns.write(work)

    def close(self) -> None:
        """Waits for what is being written, and closes. Closing twice is no error."""
        self._turns.close()


def _key(kind: str, *parts: str) -> bytes:
    return packed_key(b"".join([part.encode() + b"\0" for part in (kind, *parts)]))


def _ticks(seconds: float) -> str:
    """Microseconds as a text that sorts as they do."""
    return f"{max(0, int(seconds * 1e6)):016x}"


def _due(queue: str, due: float, name: str) -> bytes:
    return _key("d", queue, _ticks(due), name)


def _letter(queue: str, letter: Message) -> bytes:
    return _key("x", queue, _ticks(letter.due), letter.id)


def _due_of(key: bytes) -> tuple[float, str]:
    """When what stands under a key of kind `d` or `x` is due, and its id."""
    ticks, name = key.split(b"\0")[2:4]
    return int(ticks, 16) / 1e6, name.decode()


def _put(txn: _Txn, queue: str, message: Message) -> None:
    txn.put(_key("m", queue, message.id), record(message))
    txn.put(_due(queue, message.due, message.id), b"")


def _counted(txn: _Txn, queue: str) -> tuple[int, int, int]:
    """Live messages, dead letters, and the number of the last message there ever was."""
    held = txn.get(_key("q", queue))
    return (0, 0, 0) if held is None else _COUNTS.unpack(held)


def _count(txn: _Txn, queue: str, live: int, dead: int, number: int) -> None:
    txn.put(_key("q", queue), _COUNTS.pack(live, dead, number))


def _range(txn: _Txn, prefix: bytes, most: int) -> Iterator[tuple[bytes, bytes]]:
    """The first `most` records whose keys begin with `prefix`."""
    with txn.cursor() as cursor:
        more = cursor.set_range(prefix)
        for _ in range(most):
            if not more or not (key := bytes(cursor.key())).startswith(prefix):
                return
            yield key, bytes(cursor.value())
            more = cursor.next()
