"""The border to JavaScript without JavaScript: bytes and plain data cross as they are."""

from __future__ import annotations

import json
import sqlite3
from types import SimpleNamespace
from typing import Any

from wws.hosts.edge.web import Web

__all__ = ["DurableStorage", "JsException", "KVNamespace", "PlainWeb"]


class JsException(Exception):
    """Stands for what JavaScript throws."""


class PlainWeb(Web):
    """`Web` whose objects are Python's."""

    def __init__(self) -> None:
        ffi = SimpleNamespace(JsException=JsException, jsnull=SimpleNamespace())
        super().__init__(SimpleNamespace(JSON=SimpleNamespace(stringify=json.dumps)), ffi)

    def octets(self, data: bytes) -> Any:
        return data

    @staticmethod
    def data(buffer: Any) -> bytes:
        return bytes(buffer)

    def plain(self, value: Any) -> Any:
        return value


class DurableStorage:
    """A Durable Object's storage: SQLite, as it is there, and one alarm."""

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.sql = self
        self.alarm: float | None = None

    def exec(self, statement: str, *values: object) -> list[Any]:
        cursor = self.database.execute(statement, values)
        names = [column[0] for column in cursor.description or ()]
        return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]

    def setAlarm(self, milliseconds: int) -> None:
        self.alarm = milliseconds / 1000

    def close(self) -> None:
        self.database.close()


class KVNamespace:
    """A namespace of Workers KV, with its own refusals. `asked` counts reads."""

    def __init__(self, web: Web) -> None:
        self._absent = web.ffi.jsnull
        self.items: dict[str, tuple[bytes, Any]] = {}
        self.ttls: dict[str, int] = {}
        self.asked = 0
        self.fails = False

    def _check(self, what: str) -> None:
        if self.fails:
            raise JsException(f"KV {what} failed: 429 Too Many Requests")

    async def getWithMetadata(self, key: str, kind: str) -> Any:
        self._check("GET")
        self.asked += 1
        value, metadata = self.items.get(key, (self._absent, self._absent))
        seen = metadata if metadata is self._absent else SimpleNamespace(**metadata)
        return SimpleNamespace(value=value, metadata=seen)

    async def put(self, key: str, value: bytes, options: dict[str, Any]) -> None:
        self._check("PUT")
        ttl = options.get("expirationTtl")
        if ttl is not None and ttl < 60:
            raise JsException(f"KV PUT failed: 400 Invalid expiration_ttl of {ttl}. Expiration TTL must be at least 60.")
        self.items[key] = value, options.get("metadata", self._absent)
        self.ttls[key] = ttl or 0

    async def delete(self, key: str) -> None:
        self._check("DELETE")
        self.items.pop(key, None)

    async def list(self, options: dict[str, Any]) -> Any:
        self._check("LIST")
        after = options.get("cursor", "")
        found = sorted(key for key in self.items if key.startswith(options["prefix"]) and key > after)
        page = found[: options["limit"]]
        keys: list[dict[str, Any]] = []
        for key in page:
            metadata = self.items[key][1]
            keys.append({"name": key} if metadata is self._absent else {"name": key, "metadata": metadata})
        return {"keys": keys, "list_complete": len(found) == len(page), "cursor": page[-1] if page else ""}
