"""Deno KV as the glue lends it (`glue/database.ts`): texts, bytes and numbers cross the border, nothing else.

A record is found by its table and its key, and has a version, a text of 20 characters that changes with every write
(docs.deno.com/deploy/kv/transactions).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

__all__ = ["MAX_BYTES", "STAMP", "Database"]

MAX_BYTES: Final = 64 * 1024
"""Of one record (docs.deno.com/deploy/kv)."""
STAMP: Final = 20
"""Characters of a version."""


class Database(Protocol):
    """Times to live are in milliseconds; 0 is for ever. What fails raises the platform's exception."""

    async def get(self, table: str, key: str) -> Any:
        """A `Uint8Array` of the version and the value, an empty one where there is no record."""
        ...

    async def put(self, table: str, key: str, value: Any, ttl: float) -> None:
        """Writes a `Uint8Array`."""
        ...

    async def swap(self, table: str, key: str, stamp: str, value: Any, ttl: float) -> str:
        """Writes if the record still has this version ("": if there is none); the new version, or "" where it has not."""
        ...

    async def delete(self, table: str, key: str) -> None:
        """Removes a record; a missing one is no error."""
        ...

    async def list(self, table: str, start: str, end: str, limit: int) -> str:
        """JSON: `[key, Base64 of the first bytes of the value]` of the records from `start` on and before `end`, in order."""
        ...
