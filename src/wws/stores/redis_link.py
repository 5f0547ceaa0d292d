"""The way to one Redis server: a `Wire` that is made anew, with growing pauses, whenever it is lost.

Who sends while there is none is told so at once. Only the very first connection is waited for, within the budget of the call.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from wws.core.resilience.backoff import delay
from wws.errors import StoreError
from wws.stores.redis_address import RedisAddress
from wws.stores.redis_wire import Ears, Refused, Wire, packed

__all__ = ["CONNECT", "Hello", "Link", "greeting", "in_short", "tls_context"]

CONNECT: Final = 2.0
"""Seconds a new connection may take, TLS and greeting included."""

Resolve = Callable[[], Awaitable[tuple[str, int]]]


class Hello(NamedTuple):
    """The first commands of a connection. `tracks`: the last of them asks to hear of changes, and may be refused."""

    commands: tuple[bytes, ...]
    tracks: bool


def greeting(address: RedisAddress, tracked: Sequence[str]) -> Hello:
    """`tracked` are the beginnings of names whose changes are to be heard of."""
    login: list[str] = [] if address.password is None else ["AUTH", address.user or "default", address.password]
    commands = [packed("HELLO", 3, *login, "SETNAME", "wws")]
    if address.database:
        commands.append(packed("SELECT", address.database))
    if tracked:
        # In this mode the server remembers nothing: it tells of every change of such a name, absent ones that appear included.
        prefixes = [word for prefix in tracked for word in ("PREFIX", prefix)]
        commands.append(packed("CLIENT", "TRACKING", "ON", "BCAST", *prefixes))
    return Hello(tuple(commands), bool(tracked))


def tls_context(address: RedisAddress) -> ssl.SSLContext | None:
    """TLS as the address asks for it. Raises `StoreError` for files that cannot be used."""
    if not address.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=address.ca)
        if address.cert is not None:
            context.load_cert_chain(address.cert, address.key)
    except OSError as error:
        raise StoreError(f"{address}: the files for TLS cannot be used: {error}") from error
    return context


def in_short(error: object) -> str:
    """An error reply without what it may repeat of the command, which may be a password."""
    return str(error).partition(", with args")[0].partition("`")[0].strip(" ,")[:200]


class Link:
    """See the module. `resolve` finds the server anew for every connection, or raises `StoreError`."""

    def __init__(
        self, name: str, resolve: Resolve, hello: Hello, budget: float, ears: Ears, tls: ssl.SSLContext | None = None
    ) -> None:
        self.name = name
        self.tracks = False
        """Whether changes are heard of."""
        self._resolve = resolve
        self._hello = hello
        self._budget = budget
        self._ears = ears
        self._tls = tls
        self._why = "not connected"
        self._wire: Wire | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether there is a connection that has been greeted."""
        return self._wire is not None and self._wire.greeted.done() and not self._wire.lost.done()

    def send(self, command: bytes) -> asyncio.Future[Any]:
        """The future of the reply. Raises `StoreError` at once where there is no connection."""
        wire = self._wire
        if wire is None:
            wire = self._begin()
        return wire.send(command)

    def drop(self, reason: str) -> None:
        """Ends the connection, for another to be made."""
        if self._wire is not None:
            self._wire.close(reason)

    def close(self) -> None:
        """Ends the connection for good."""
        task, self._task = self._task, None
        self.drop("the store is closed")
        if task is not None and not task.get_loop().is_closed():
            task.cancel()

    def _begin(self) -> Wire:
        """The wire of the first connection, on which commands can wait; else there is none."""
        if self._task is not None and not self._task.done():
            raise StoreError(f"{self.name}: {self._why}")
        loop = asyncio.get_running_loop()
        self._wire = wire = self._new(loop)
        self._task = loop.create_task(self._keep(loop, wire))
        return wire

    def _new(self, loop: asyncio.AbstractEventLoop) -> Wire:
        return Wire(loop, self.name, self._budget, self._hello.commands, self._accept, self._ears)

    async def _keep(self, loop: asyncio.AbstractEventLoop, first: Wire) -> None:
        """Connects, and connects again."""
        wire, failures = first, 0
        try:
            while True:
                try:
                    async with asyncio.timeout(CONNECT):
                        await self._connect(loop, wire)
                    self._wire, failures = wire, 0
                    self._why = await asyncio.shield(wire.lost)
                except (OSError, StoreError) as error:
                    self._why = _reason(error)
                    wire.close(self._why)
                self._wire = None
                self._ears.changed(None)  # what changes until there is another connection is not heard of
                await asyncio.sleep(0.05 + delay(failures, random.random()))
                failures += 1
                wire = self._new(loop)
        finally:
            wire.close("the store is closed")
            self._wire = None

    async def _connect(self, loop: asyncio.AbstractEventLoop, wire: Wire) -> None:
        host, port = await self._resolve()
        await loop.create_connection(lambda: wire, host, port, ssl=self._tls)
        either: list[asyncio.Future[Any]] = [wire.greeted, wire.lost]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if wire.lost.done():
            raise StoreError(wire.lost.result())

    def _accept(self, replies: list[Any]) -> str | None:
        """What is wrong with the replies to the greeting."""
        if self._hello.tracks:
            self.tracks = not isinstance(replies.pop(), Refused)
        for reply in replies:
            if isinstance(reply, Refused):
                return f"the greeting was refused ({in_short(reply)}); needed is Redis 6.2 or newer, or Valkey"
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no connection within {CONNECT:g} s"
    if isinstance(error, OSError):
        return f"cannot connect: {error.strerror or error}"
    return str(error)
