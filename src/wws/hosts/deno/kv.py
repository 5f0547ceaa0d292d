"""Deno KV as `bindings.KV`.

A record begins with nine bytes: when it is absent (Deno removes expired records when it comes to it, so the moment is looked at
here), and what follows: the value itself, or where its parts lie. A value that is too large for one record is cut into parts,
each a record of its own, written before the record that names them; who reads while it is replaced finds the old value, the new
one, or, when the old parts are gone already, none.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from math import inf
from struct import Struct
from typing import Final

from wws.bindings import KeyPage
from wws.core.auth.apikey import KEY_PREFIX
from wws.core.auth.session import SESSION_PREFIX
from wws.errors import StoreError
from wws.hosts.deno.database import MAX_BYTES, STAMP, Database

__all__ = ["MAX_VALUE", "DenoKV"]

MAX_VALUE: Final = 16 * 1024 * 1024
"""Bytes of the largest value. It is written part by part, which takes its time."""
_VALUES, _PARTS = "v", "p"
_HEAD: Final = Struct("<dB")  # wall seconds of expiry, kind
_WHOLE, _CUT = 0, 1
_WHERE: Final = Struct("<16sI")  # name of the parts, how many
_ROOM: Final = MAX_BYTES - _HEAD.size
_PART: Final = MAX_BYTES - 1024
_LAST = "\U0010ffff"  # comes after every character that a key has
_AT_ONCE: Final = 8


_REMEMBERED: Final = (KEY_PREFIX, SESSION_PREFIX, "v1:gone")
"""Beginnings of the names that are remembered with `near`: sessions, API keys, and what says that one of them is gone."""
_NEAR_KEYS: Final = 4096
_NEAR_VALUE: Final = 4096


class DenoKV:
    """The values of one database. Raises `StoreError` for what Deno KV refuses or cannot do.

    With `near` what was read of sessions and API keys is taken for true for so many seconds in this process, unless the process
    itself changes it: a read less, or two, in nearly every request.
    """

    __slots__ = ("_database", "_epoch", "_known", "_time", "near")
    consistency = "strong; reads and writes go to the database's primary region"

    def __init__(self, database: Database, time: Callable[[], float], near: float = 0.0) -> None:
        self._database = database
        self._time = time
        self.near = near
        self._known: dict[str, tuple[float, bytes | None]] = {}  # until when it is taken for true, and the value
        self._epoch = 0

    def epoch(self) -> int:
        """See `KV`: another number after what this process has changed. What others change is seen in any case: what is read is
        believed for `near` seconds, and what follows from it for as long again."""
        return self._epoch

    async def get(self, key: str) -> bytes | None:
        """See `KV`."""
        if not self.near or not key.startswith(_REMEMBERED):
            return await self._get(key)
        now = self._time()
        known = self._known.get(key)
        if known is not None and now < known[0]:
            return known[1]
        epoch, value = self._epoch, await self._get(key)
        if epoch == self._epoch and len(value or b"") <= _NEAR_VALUE:
            if len(self._known) >= _NEAR_KEYS:
                self._known.clear()
            self._known[key] = now + self.near, value
        return value

    async def _get(self, key: str) -> bytes | None:
        found = await self._record(key)
        if found is None:
            return None
        expires, kind, data = found
        if expires <= self._time():
            return None
        return data if kind == _WHOLE else await self._joined(data)

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        """See `KV`. What Deno KV has taken is durable."""
        self._changed(key)
        data = value.encode() if isinstance(value, str) else value
        if len(data) > MAX_VALUE:
            raise StoreError(f"the value has {len(data)} bytes; allowed on Deno KV: {MAX_VALUE}")
        expires = inf if expiration_ttl is None else self._time() + expiration_ttl
        ttl = 0.0 if expiration_ttl is None else max(1.0, expiration_ttl * 1000)
        former = await self._parts_of(key)
        if len(data) <= _ROOM:
            record = _HEAD.pack(expires, _WHOLE) + data
        else:
            record = _HEAD.pack(expires, _CUT) + await self._cut(data, ttl)
        await self._database.put(_VALUES, key, record, ttl)
        self._changed(key)  # whoever read while it was written has the value before
        await self._forget(former)

    async def delete(self, key: str) -> None:
        """See `KV`."""
        self._changed(key)
        former = await self._parts_of(key)
        await self._database.delete(_VALUES, key)
        self._changed(key)
        await self._forget(former)

    async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> KeyPage:
        """See `KV`. The cursor is the last name of the page before."""
        if not 1 <= limit <= 1000:
            raise ValueError(f"limit is 1 to 1000, not {limit}")
        start = prefix if cursor is None else cursor + "\0"
        keys: list[str] = []
        while len(keys) <= limit:
            wanted = limit + 1 - len(keys)
            rows = json.loads(await self._database.list(_VALUES, start, prefix + _LAST, wanted))
            now = self._time()
            keys += [name for name, head in rows if _HEAD.unpack(base64.b64decode(head)[: _HEAD.size])[0] > now]
            if len(rows) < wanted:
                break
            start = rows[-1][0] + "\0"
        return KeyPage(keys[:limit], keys[limit - 1] if len(keys) > limit else None)

    def _changed(self, key: str) -> None:
        if key.startswith(_REMEMBERED):
            self._known.pop(key, None)
            self._epoch += 1

    # records

    async def _record(self, key: str) -> tuple[float, int, bytes] | None:
        data = await self._read(_VALUES, key)
        if data is None:
            return None
        expires, kind = _HEAD.unpack_from(data)
        return expires, kind, data[_HEAD.size :]

    async def _read(self, table: str, key: str) -> bytes | None:
        data = await self._database.get(table, key)
        return data[STAMP:] if data else None

    # parts

    async def _cut(self, data: bytes, ttl: float) -> bytes:
        name, count = secrets.token_hex(8), -(-len(data) // _PART)
        pieces = [(_part(name, at), data[at * _PART : (at + 1) * _PART]) for at in range(count)]
        for first in range(0, count, _AT_ONCE):
            await asyncio.gather(*[self._database.put(_PARTS, key, part, ttl) for key, part in pieces[first : first + _AT_ONCE]])
        return _WHERE.pack(name.encode(), count)

    async def _joined(self, where: bytes) -> bytes | None:
        name, count = _WHERE.unpack(where)
        keys = [_part(name.decode(), at) for at in range(count)]
        parts = await asyncio.gather(*[self._read(_PARTS, key) for key in keys])
        return None if None in parts else b"".join([part for part in parts if part is not None])

    async def _parts_of(self, key: str) -> tuple[str, ...]:
        """The parts of the value that is there now."""
        found = await self._record(key)
        if found is None or found[1] != _CUT:
            return ()
        name, count = _WHERE.unpack(found[2])
        return tuple([_part(name.decode(), at) for at in range(count)])

    async def _forget(self, parts: tuple[str, ...]) -> None:
        for key in parts:
            await self._database.delete(_PARTS, key)


def _part(name: str, at: int) -> str:
    return f"{name}:{at:08d}"
