"""Claims and queues on Redis or Valkey, shared by every gateway of one server or cluster.

A claim is `SET NX PX`. A queue is four keys of one slot and one script (lua/queue.lua) on the server's clock. What survives a
power cut is the server's own setting: `appendonly yes` with `appendfsync always` for messages that must not be lost.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any, Final

from wws.bindings import Clock
from wws.core.queue.delivery import NEVER, Settlement
from wws.core.queue.message import Counts, Message
from wws.errors import QueueFull, StoreError
from wws.stores.job_record import stored
from wws.stores.redis import RedisStore

__all__ = ["RedisJobs"]

_SCRIPT: Final = Path(__file__).with_name("lua") / "queue.lua"
_STEP: Final = 1000
"""Messages removed by one call of the script, in which the server serves nobody else."""


class RedisJobs:
    """Claims and Queues on the servers of `store`, which is closed with it. `clock` None reckons by the server's clock."""

    def __init__(self, store: RedisStore, clock: Clock | None = None) -> None:
        self._store = store
        self._time = None if clock is None else clock.time
        self._prefix = store.address.prefix
        self._text = _SCRIPT.read_bytes()
        self._digest = sha1(self._text, usedforsecurity=False).hexdigest()

    async def claim(self, name: str, ttl: float) -> bool:
        """See `Claims`."""
        reply = await self._store.command("SET", self._claim(name), 1, "NX", "PX", max(1, round(ttl * 1000)))
        return reply is not None

    async def release(self, name: str) -> None:
        """See `Claims`."""
        await self._store.command("DEL", self._claim(name))

    async def send(self, queue: str, bodies: Sequence[bytes], delay: float = 0.0, most: int = 100_000) -> list[str]:
        """See `Queues`."""
        ids = await self._run(queue, "send", most, delay, *bodies)
        if ids is None:
            raise QueueFull(queue, most)
        return [name.decode() for name in ids]

    async def lease(self, queue: str, most: int, visibility: float, patience: float = 0.0) -> tuple[list[Message], float]:
        """See `Queues`."""
        wait, *leased = await self._run(queue, "lease", most, visibility, patience, secrets.token_hex(8))
        return _messages(leased), float(wait) if wait else NEVER

    async def settle(self, queue: str, settlements: Sequence[Settlement]) -> int:
        """See `Queues`."""
        rows = [(one.message.id, one.message.receipt, one.action, one.delay, one.reason[:500]) for one in settlements]
        settled: int = await self._run(queue, "settle", *[field for row in rows for field in row])
        return settled

    async def counts(self, queue: str) -> Counts:
        """See `Queues`."""
        return Counts(*await self._run(queue, "counts"))

    async def peek(self, queue: str, limit: int = 10, *, dead: bool = False) -> list[Message]:
        """See `Queues`."""
        return _messages(await self._run(queue, "peek", _which(dead), limit))

    async def redrive(self, queue: str, limit: int = 1000) -> int:
        """See `Queues`."""
        moved: int = await self._run(queue, "redrive", limit)
        return moved

    async def purge(self, queue: str, *, dead: bool = False) -> int:
        """See `Queues`."""
        gone = 0
        while step := await self._run(queue, "purge", _which(dead), _STEP):
            gone += step
        return gone

    def close(self) -> None:
        """Ends the connections."""
        self._store.close()

    def _claim(self, name: str) -> str:
        return f"{self._prefix}:k:{name}"

    async def _run(self, queue: str, act: str, *arguments: bytes | str | float) -> Any:
        """What the script answers. The braces keep a queue's keys in one slot of a cluster."""
        base = f"{self._prefix}:q:{{{queue}}}"
        keys = [f"{base}:{part}" for part in ("due", "messages", "dead", "number")]
        now = "" if self._time is None else repr(self._time())
        rest = [len(keys), *keys, act, now, *arguments]
        try:
            return await self._store.command("EVALSHA", self._digest, *rest, key=keys[0])
        except StoreError as error:
            if "NOSCRIPT" not in str(error):
                raise
        return await self._store.command("EVAL", self._text, *rest, key=keys[0])


def _which(dead: bool) -> str:
    return "dead" if dead else "live"


def _messages(reply: list[bytes]) -> list[Message]:
    return [stored(name.decode(), data) for name, data in zip(reply[::2], reply[1::2], strict=True)]
