"""Which server has a key: the only one, the master that sentinels name, or the node of a cluster that has the key's slot."""

from __future__ import annotations

import asyncio
from binascii import crc_hqx
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from wws.errors import StoreError
from wws.stores.redis_address import RedisAddress
from wws.stores.redis_link import CONNECT, Link
from wws.stores.redis_wire import Refused, packed

__all__ = ["Cluster", "One", "Topology", "by_sentinels", "slot_of"]

SLOTS: Final = 16384
_REFRESH: Final = 0.25
"""Seconds between two looks at a cluster's map: a node that has failed over is named by many replies at once."""

NewLink = Callable[[str, int], Link]
Place = tuple[str, int]


class Topology(Protocol):
    """The servers there are. `known` is False while they must still be found: `ready` does that."""

    known: bool

    def link(self, key: bytes) -> Link:
        """The way to the server that has `key`. Raises `StoreError` when it is not known."""
        ...

    async def ready(self) -> None:
        """Finds the servers, where they must be found before anything can be sent. Raises `StoreError`."""
        ...

    async def again(self, reply: Refused, command: bytes) -> Any:
        """What to take for a refusal: the reply of the server that it points to, else itself. Raises `StoreError`."""
        ...

    def links(self) -> list[Link]:
        """The masters."""
        ...

    def close(self) -> None:
        """Ends all connections."""
        ...


class One:
    """A single server, or the master of sentinels."""

    known = True

    def __init__(self, link: Link) -> None:
        self._link = link

    def link(self, key: bytes) -> Link:
        return self._link

    async def ready(self) -> None:
        return

    async def again(self, reply: Refused, command: bytes) -> Any:
        if str(reply).startswith("READONLY"):  # the master has become a replica: it is looked for again
            self._link.drop("it is a replica now")
        return reply

    def links(self) -> list[Link]:
        return [self._link]

    def close(self) -> None:
        self._link.close()


def by_sentinels(address: RedisAddress) -> Callable[[], Awaitable[Place]]:
    """Asks the sentinels which server is the master now, without a password. In a thread, for the client library blocks."""

    async def resolve() -> Place:
        return await asyncio.get_running_loop().run_in_executor(None, _master, address)

    return resolve


def _master(address: RedisAddress) -> Place:
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry
    from redis.sentinel import Sentinel

    options: dict[str, Any] = {"socket_timeout": CONNECT / 2 / len(address.hosts), "retry": Retry(NoBackoff(), 0)}
    if address.tls:
        options |= {"ssl": True, "ssl_ca_certs": address.ca, "ssl_certfile": address.cert, "ssl_keyfile": address.key}
    sentinels: Any = Sentinel(address.hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
    try:
        host, port = sentinels.discover_master(address.master or "")
    except RedisError as error:
        raise StoreError(f"no sentinel knows a master {address.master!r}") from error
    finally:
        for client in sentinels.sentinels:
            client.close()
    return str(host), int(port)


def slot_of(key: bytes) -> int:
    """The slot of a key: of what stands between its first braces, where there is something (redis.io, cluster specification)."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS


class Cluster:
    """The masters of a cluster, by the map that its nodes give. A reply that says `MOVED` has the map read anew.

    `moved` is called when slots have changed hands.
    """

    def __init__(self, seeds: tuple[Place, ...], new_link: NewLink, moved: Callable[[], None]) -> None:
        self._seeds = seeds
        self._moved = moved
        self._new = new_link
        self._links: dict[Place, Link] = {}
        self._slots: list[Link | None] = [None] * SLOTS
        self._masters: list[Link] = []
        self.known = False
        self._reading: asyncio.Task[None] | None = None
        self._read_at = float("-inf")

    def link(self, key: bytes) -> Link:
        found = self._slots[slot_of(key)]
        if found is None:
            self._look()
            raise StoreError("no node of the cluster has this key's slot")
        if not found.up:  # it may have failed over
            self._look()
        return found

    def links(self) -> list[Link]:
        return self._masters

    async def ready(self) -> None:
        if not self.known:
            await asyncio.shield(self._look(now=True))
            if not self.known:
                raise StoreError("no node of the cluster answers")

    async def again(self, reply: Refused, command: bytes) -> Any:
        words = str(reply).split()
        if words[0] not in ("MOVED", "ASK") or len(words) != 3:
            return reply
        host, _, port = words[2].rpartition(":")
        link = self._at(host, int(port))
        if words[0] == "MOVED":
            self._look()
            return await link.send(command)
        # ASKING holds for the one command after it: both go out in the same turn, one behind the other.
        link.send(packed("ASKING")).add_done_callback(_seen)
        return await link.send(command)

    def _at(self, host: str, port: int) -> Link:
        place = (host, port)
        link = self._links.get(place)
        if link is None:
            link = self._links[place] = self._new(host, port)
        return link

    def _look(self, *, now: bool = False) -> asyncio.Task[None]:
        """Has the map read, once at a time and not too often."""
        loop = asyncio.get_running_loop()
        reading = self._reading
        if reading is None or (reading.done() and (now or loop.time() - self._read_at > _REFRESH)):
            self._read_at = loop.time()
            reading = self._reading = loop.create_task(self._read())
        return reading

    async def _read(self) -> None:
        places = [*[place for place, link in self._links.items() if link.up], *self._seeds]
        for host, port in dict.fromkeys(places):
            try:
                async with asyncio.timeout(CONNECT):
                    reply = await self._at(host, port).send(packed("CLUSTER", "SLOTS"))
            except (StoreError, TimeoutError):
                continue
            if isinstance(reply, list) and reply:
                self._take(reply, host)
                return

    def _take(self, ranges: list[Any], asked: str) -> None:
        """The map: rows of first slot, last slot, master (host, port, ...), replicas. An empty host is the one that was asked."""
        slots: list[Link | None] = [None] * SLOTS
        used: set[Place] = set()
        for first, last, master, *_ in ranges:
            host = master[0].decode() if master[0] else asked
            place = (asked if host == "?" else host, master[1])
            used.add(place)
            slots[first : last + 1] = [self._at(*place)] * (last - first + 1)
        if slots != self._slots:
            self._moved()  # changes of keys that have another master now may have gone unheard
        self._slots, self._masters, self.known = slots, [self._at(*place) for place in sorted(used)], True
        for place in self._links.keys() - used - set(self._seeds):
            self._links.pop(place).close()

    def close(self) -> None:
        if self._reading is not None and not self._reading.get_loop().is_closed():
            self._reading.cancel()
        for link in self._links.values():
            link.close()


def _seen(reply: asyncio.Future[Any]) -> None:
    """The reply to ASKING: its failure is that of the command behind it too."""
    if not reply.cancelled():
        reply.exception()
