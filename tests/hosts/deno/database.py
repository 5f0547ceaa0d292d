"""Deno KV as its documentation has it, in this process: versions, 64 KiB a value, 2 KiB a key, keys in order of their bytes."""

from __future__ import annotations

import asyncio
import base64
import json

from wws.errors import StoreError

__all__ = ["FakeDatabase"]


class FakeDatabase:
    """`wws.hosts.deno.database.Database`. Every call gives way to other tasks once; `failing` makes all of them fail."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.version = 0
        self.failing = False
        self.calls: list[str] = []

    async def _begin(self, name: str, key: str) -> None:
        self.calls.append(name)
        await asyncio.sleep(0)
        if self.failing:
            raise StoreError("Deno KV failed: Error: database is gone")
        if len(key.encode()) > 2048:
            raise StoreError("Deno KV set failed: TypeError: Key too large for write (max 2048 bytes)")

    def _write(self, place: tuple[str, str], value: bytes) -> str:
        if len(value) > 65536:
            raise StoreError("Deno KV set failed: TypeError: Value too large (max 65536 bytes)")
        self.version += 1
        self.records[place] = self.version, value
        return f"{self.version:020x}"

    async def get(self, table: str, key: str) -> bytes:
        await self._begin("get", key)
        found = self.records.get((table, key))
        return b"" if found is None else f"{found[0]:020x}".encode() + found[1]

    async def put(self, table: str, key: str, value: bytes, ttl: float) -> None:
        await self._begin("put", key)
        assert ttl >= 0
        self._write((table, key), value)

    async def swap(self, table: str, key: str, stamp: str, value: bytes, ttl: float) -> str:
        await self._begin("swap", key)
        found = self.records.get((table, key))
        if ("" if found is None else f"{found[0]:020x}") != stamp:
            return ""
        return self._write((table, key), value)

    async def delete(self, table: str, key: str) -> None:
        await self._begin("delete", key)
        self.records.pop((table, key), None)

    async def list(self, table: str, start: str, end: str, limit: int) -> str:
        await self._begin("list", start)
        first, last = start.encode(), end.encode()
        keys = sorted(key for place, key in self.records if place == table and first <= key.encode() < last)
        rows = [(key, base64.b64encode(self.records[table, key][1][:9]).decode()) for key in keys[:limit]]
        return json.dumps(rows)
