"""Deno KV as the glue lends it (`glue/database.ts`).

A record is found by its table and its key, and has a version, a text of 20 characters that changes with every write
(docs.deno.com/deploy/kv/transactions).
"""

from __future__ import annotations

from typing import Final, Protocol

from wws.errors import StoreError
from wws.hosts.deno.border import FAILED, Border, Told

__all__ = ["MAX_BYTES", "STAMP", "Database", "DenoDatabase"]

MAX_BYTES: Final = 64 * 1024
"""Of one record (docs.deno.com/deploy/kv)."""
STAMP: Final = 20
"""Characters of a version."""


class Database(Protocol):
    """Times to live are in milliseconds; 0 is for ever. What fails raises `StoreError`."""

    async def get(self, table: str, key: str) -> bytes:
        """The version and the value, nothing where there is no record."""
        ...

    async def put(self, table: str, key: str, value: bytes, ttl: float) -> None:
        """Writes a record."""
        ...

    async def swap(self, table: str, key: str, stamp: str, value: bytes, ttl: float) -> str:
        """Writes if the record still has this version ("": if there is none); the new version, or "" where it has not."""
        ...

    async def delete(self, table: str, key: str) -> None:
        """Removes a record; a missing one is no error."""
        ...

    async def list(self, table: str, start: str, end: str, limit: int) -> str:
        """JSON: `[key, Base64 of the first bytes of the value]` of the records from `start` on and before `end`, in order."""
        ...


class DenoDatabase:
    """`Database` across the border."""

    __slots__ = ("_border", "_delete", "_get", "_list", "_octets", "_put", "_swap")

    def __init__(self, border: Border) -> None:
        glue = border.glue
        self._border = border
        self._octets = border.octets
        self._get, self._put, self._swap, self._delete, self._list = glue.get, glue.put, glue.swap, glue.remove, glue.list

    async def get(self, table: str, key: str) -> bytes:
        """See `Database`."""
        return _good("get", await self._border.ask(self._get, table, key))[2] or b""

    async def put(self, table: str, key: str, value: bytes, ttl: float) -> None:
        """See `Database`."""
        _good("set", await self._border.ask(self._put, table, key, self._octets(value), ttl))

    async def swap(self, table: str, key: str, stamp: str, value: bytes, ttl: float) -> str:
        """See `Database`."""
        return _good("commit", await self._border.ask(self._swap, table, key, stamp, self._octets(value), ttl))[1]

    async def delete(self, table: str, key: str) -> None:
        """See `Database`."""
        _good("delete", await self._border.ask(self._delete, table, key))

    async def list(self, table: str, start: str, end: str, limit: int) -> str:
        """See `Database`."""
        return _good("list", await self._border.ask(self._list, table, start, end, limit))[1]


def _good(what: str, told: Told) -> Told:
    if told[0] == FAILED:
        # The reason is Deno's own ("TypeError: Value too large (max 65536 bytes)"); it holds no value and no key.
        raise StoreError(f"Deno KV {what} failed: {told[1][:200]}")
    return told
