"""The store `redis://...`: Redis or Valkey, shared by any number of gateways.

Values are plain keys with the server's own expiry. Counts are kept by two Lua scripts (lua/) that decide as
`core.limit.window` and `core.limit.gcra` do, on the server's clock: one key and one call for each decision, so they are exact
however many gateways ask. Names begin with `wws:v:` (values) and `wws:c:` (counts).

A call that the server does not answer in `budget` seconds raises `StoreError`; so does one while there is no connection, at
once. What survives a power cut is the server's own setting (`appendonly`): docs/stores.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha1
from heapq import nsmallest
from pathlib import Path
from struct import Struct
from typing import Any, Final

from wws.bindings import Clock, Kept, KeyPage
from wws.core.limit.decision import Decision
from wws.core.limit.window import MAX_LIMIT
from wws.errors import StoreError
from wws.stores.redis_address import RedisAddress
from wws.stores.redis_link import Hello, Link, greeting, in_short, tls_context
from wws.stores.redis_topology import Cluster, One, Place, Topology, by_sentinels
from wws.stores.redis_wire import Ears, Refused, packed

__all__ = ["BUDGET", "RedisStore"]

BUDGET: Final = 0.05
"""Seconds a call may take."""
_SCANNED: Final = 1000
"""Keys the server looks at in one step of a listing: about half a millisecond, in which it serves nobody else."""
_TAILS: Final = 4096
"""Limits whose encoded arguments are kept; a policy has far fewer."""
_DECISION: Final = Struct("<BIdd")
_LUA: Final = Path(__file__).with_name("lua")


Changed = Callable[[list[str] | None], None]
Names = list[bytes] | None


class _Script:
    """A script and what a call of it begins with, by its digest and, where the server does not have it, by its text."""

    __slots__ = ("head", "whole")

    def __init__(self, name: str, arguments: int) -> None:
        text = (_LUA / f"{name}.lua").read_bytes()
        digest = sha1(text, usedforsecurity=False).hexdigest().encode()
        count = b"*%d\r\n" % (arguments + 4)
        self.head = count + b"$7\r\nEVALSHA\r\n$40\r\n%b\r\n$1\r\n1\r\n$" % digest
        self.whole = count + b"$4\r\nEVAL\r\n$%d\r\n%b\r\n$1\r\n1\r\n$" % (len(text), text)


_WINDOW: Final = _Script("window", 5)
_GCRA: Final = _Script("gcra", 6)


class RedisStore:
    """KV and Counter on Redis or Valkey. Connects when it is first used.

    `clock` None counts by the server's clock. `tracked` are beginnings of names: `changed` is told of those that anybody has
    changed, and None when any may have been. Raises `StoreError` for TLS files that cannot be used.
    """

    consistency = "exact across all gateways of one server or cluster"

    def __init__(
        self,
        address: RedisAddress,
        clock: Clock | None = None,
        budget: float = BUDGET,
        tracked: Sequence[str] = (),
        changed: Changed | None = None,
        took: Callable[[float], None] | None = None,
    ) -> None:
        self.address = address
        self.budget = budget
        self._time = None if clock is None else clock.time
        self._values = f"{address.prefix}:v:".encode()
        self._counts = f"{address.prefix}:c:".encode()
        self._changed = changed
        self._tails: dict[tuple[bytes, int, float, int, int | None], bytes] = {}
        tls, ears = tls_context(address), Ears(self._hear, took or _ignored)
        hello: Hello = greeting(address, [self._values.decode() + prefix for prefix in tracked])

        def link_to(host: str, port: int) -> Link:
            async def resolve() -> Place:
                return host, port

            return Link(f"redis at {host}:{port}", resolve, hello, budget, ears, tls)

        self._topology: Topology
        if address.kind == "cluster":
            self._topology = Cluster(address.hosts, link_to, lambda: self._hear(None))
        elif address.kind == "sentinel":
            self._topology = One(Link(str(address), by_sentinels(address), hello, budget, ears, tls))
        else:
            self._topology = One(link_to(*address.hosts[0]))

    # KV

    async def get(self, key: str) -> bytes | None:
        """See `KV`."""
        name, topology = self._values + key.encode(), self._topology
        if not topology.known:
            await topology.ready()
        reply = await topology.link(name).send(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(name), name))
        if reply is None or type(reply) is bytes:
            return reply
        found: bytes | None = await self._settled(reply, packed("GET", name))
        return found

    async def kept(self, key: str) -> Kept | None:
        """See `WholeStore`. The end is told by this machine's clock."""
        value = await self.get(key)
        name = self._values + key.encode()
        left = await self._ask(name, packed("PTTL", name))  # -1: it does not expire; -2: it is gone
        if value is None or left == -2:
            return None
        now = time.time() if self._time is None else self._time()
        return Kept(value, None if left == -1 else now + left / 1000)

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        """See `KV`. It returns when the server has it: what that survives is the server's setting, `durable` changes nothing."""
        name = self._values + key.encode()
        if expiration_ttl is None:
            await self._ask(name, packed("SET", name, value))
        elif expiration_ttl > 0:
            await self._ask(name, packed("SET", name, value, "PX", max(1, round(expiration_ttl * 1000))))
        else:
            await self._ask(name, packed("DEL", name))

    async def delete(self, key: str) -> None:
        """See `KV`."""
        name = self._values + key.encode()
        await self._ask(name, packed("DEL", name))

    async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> KeyPage:
        """See `KV`. For each page the server looks at all its keys: this is for operators, not for every request."""
        if not 1 <= limit <= 1000:
            raise ValueError(f"limit is 1 to 1000, not {limit}")
        await self._topology.ready()
        skip = len(self._values)
        pattern = self._values + b"".join([b"\\" + c if c in b"*?[]^-\\" else c for c in _each(prefix.encode())]) + b"*"
        after = None if cursor is None else cursor.encode()
        kept: set[bytes] = set()
        for link in self._topology.links():
            place = b"0"
            while True:
                reply = await link.send(packed("SCAN", place, "MATCH", pattern, "COUNT", _SCANNED))
                if not isinstance(reply, list):
                    raise self._refused(reply)
                place, names = reply
                kept.update([name[skip:] for name in names if after is None or name[skip:] > after])
                if len(kept) > 8 * limit:
                    kept = set(nsmallest(limit + 1, kept))
                if place == b"0":
                    break
        page = [name.decode() for name in nsmallest(limit + 1, kept)]
        return KeyPage(page[:limit], page[limit - 1] if len(page) > limit else None)

    # Counter

    async def take(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> Decision:
        """See `Counter`."""
        if not 0 < cost <= (limit if burst is None else burst) or limit > MAX_LIMIT:
            what = f"limit of {limit}" if burst is None else f"burst of {burst}"
            raise ValueError(f"a cost of {cost} can never be admitted under a {what}")
        reply = await self._count(b"take", key, limit, period, cost, now, burst)
        allowed, remaining, retry_after, reset_after = _DECISION.unpack(reply)
        return Decision(allowed == 1, remaining, retry_after, reset_after)

    async def give(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> None:
        """See `Counter`."""
        await self._count(b"give", key, limit, period, cost, now, burst)

    # what others build on

    async def command(self, *arguments: bytes | str | int | float, key: bytes | str | None = None) -> Any:
        """Any command that does not block, and its reply in the shapes of RESP3 (bytes, ints, lists, dicts, None).

        `key` decides where it goes in a cluster, and is the first argument where it is not given. Names belong below
        `address.prefix`. Raises `StoreError`, for a refusal too.
        """
        where = key if key is not None else arguments[1] if len(arguments) > 1 else b""
        name = where if isinstance(where, bytes) else str(where).encode()
        return await self._ask(name, packed(*arguments))

    async def ping(self) -> None:
        """Writes something and forgets it, on every server. Raises `StoreError` when one does not take it in time."""
        await self._topology.ready()
        command = packed("SET", f"{self.address.prefix}:probe", 1, "PX", 1000)
        for link in self._topology.links():
            reply = await link.send(command)
            if isinstance(reply, Refused) and not str(reply).startswith("MOVED"):
                await self._topology.again(reply, command)
                raise self._refused(reply)

    async def sweep(self, max_entries: int = 1000) -> int:
        """Nothing: the server itself forgets what has expired."""
        return 0

    @property
    def tracks(self) -> bool:
        """Whether every change of tracked names is heard of."""
        links = self._topology.links()
        for link in links:
            if not link.tracks:
                return False
        return bool(links)

    def close(self) -> None:
        """Ends the connections."""
        self._topology.close()

    # the way there

    async def _count(
        self, operation: bytes, key: str, limit: int, period: float, cost: int, now: float | None, burst: int | None
    ) -> Any:
        script = _WINDOW if burst is None else _GCRA
        if now is None and self._time is not None:
            now = self._time()
        if now is None:
            kind = (operation, limit, period, cost, burst)
            tail = self._tails.get(kind) or self._tail(kind)
        else:
            tail = _tail(operation, limit, period, cost, burst, repr(now).encode())
        name = self._counts + key.encode()
        rest = b"%d\r\n%b\r\n%b" % (len(name), name, tail)
        if not self._topology.known:
            await self._topology.ready()
        link = self._topology.link(name)
        reply = await link.send(script.head + rest)
        if type(reply) is Refused:
            # The text goes to whoever refused, or to whom that one points: no server need have the script.
            command = script.whole + rest
            if str(reply).startswith("NOSCRIPT"):
                reply = await link.send(command)
            reply = await self._settled(reply, command)
        return reply

    def _tail(self, kind: tuple[bytes, int, float, int, int | None]) -> bytes:
        if len(self._tails) >= _TAILS:
            self._tails.clear()
        operation, limit, period, cost, burst = kind
        tail = self._tails[kind] = _tail(operation, limit, period, cost, burst, b"")
        return tail

    async def _ask(self, name: bytes, command: bytes) -> Any:
        if not self._topology.known:
            await self._topology.ready()
        link = self._topology.link(name)
        reply = await link.send(command)
        return await self._settled(reply, command) if type(reply) is Refused else reply

    async def _settled(self, reply: Any, command: bytes) -> Any:
        """The reply, from elsewhere where it says so. Raises `StoreError` for a refusal."""
        if type(reply) is Refused:
            reply = await self._topology.again(reply, command)
        if type(reply) is Refused:
            raise self._refused(reply)
        return reply

    def _refused(self, reply: object) -> StoreError:
        return StoreError(f"{self.address} refused: {in_short(reply)}")

    def _hear(self, names: Names) -> None:
        if self._changed is not None:
            skip = len(self._values)
            self._changed(None if names is None else [name[skip:].decode(errors="replace") for name in names])


def _tail(operation: bytes, limit: int, period: float, cost: int, burst: int | None, now: bytes) -> bytes:
    arguments = [operation, b"%d" % limit, repr(float(period)).encode(), b"%d" % cost, now]
    if burst is not None:
        arguments.append(b"%d" % burst)
    return b"".join([b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments])


def _each(text: bytes) -> list[bytes]:
    return [text[n : n + 1] for n in range(len(text))]


def _ignored(seconds: float) -> None:
    return
