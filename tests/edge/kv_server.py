"""What stands behind a `kvNamespace` binding of workerd: a KV over HTTP, in memory, that refuses what production refuses.

GET, PUT and DELETE of `/KEY`, with `expiration_ttl` in seconds and metadata in the header CF-KV-Metadata; GET of `/` with
`prefix`, `key_count_limit` and `cursor` lists. What is not kept from production: that a change is seen late.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["KVServer"]

MIN_TTL = 60


class _Item(NamedTuple):
    value: bytes
    expires: float | None
    metadata: str | None


class KVServer:
    """One namespace; `await start()` gives its port."""

    def __init__(self) -> None:
        self.items: dict[str, _Item] = {}
        self.asked = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    def put(self, key: str, value: bytes) -> None:
        """Writes from outside, as a tool of the platform does; in the server's own loop."""
        self.items[key] = _Item(value, None, None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, target, _ = line.decode().split(" ")
                fields = {}
                while (field := (await reader.readline()).decode().strip()) != "":
                    name, _, value = field.partition(":")
                    fields[name.lower()] = value.strip()
                body = await _body(reader, fields)
                self.asked += 1
                writer.write(_answer(*self._answer(method, target, fields, body)))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _answer(self, method: str, target: str, fields: dict[str, str], body: bytes) -> tuple[str, bytes, str | None]:
        url = urlsplit(target)
        key, query = unquote(url.path[1:]), dict(parse_qsl(url.query))
        if method == "PUT":
            return self._put(key, query, fields, body)
        if method == "DELETE":
            self.items.pop(key, None)
            return "200 OK", b"", None
        if not key:
            return "200 OK", json.dumps(self._list(query)).encode(), None
        item = self._live().get(key)
        return ("404 Not Found", b"", None) if item is None else ("200 OK", item.value, item.metadata)

    def _put(self, key: str, query: dict[str, str], fields: dict[str, str], body: bytes) -> tuple[str, bytes, str | None]:
        ttl = query.get("expiration_ttl")
        if ttl is not None and int(ttl) < MIN_TTL:
            return f"400 Invalid expiration_ttl of {ttl}. Expiration TTL must be at least {MIN_TTL}.", b"", None
        if len(key.encode()) > 512:
            return "414 UTF-8 encoded length of key exceeds key length limit of 512.", b"", None
        self.items[key] = _Item(body, None if ttl is None else time.time() + int(ttl), fields.get("cf-kv-metadata"))
        return "200 OK", b"", None

    def _live(self) -> dict[str, _Item]:
        now = time.time()
        return {key: item for key, item in self.items.items() if item.expires is None or item.expires > now}

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        live, prefix, after = self._live(), query.get("prefix", ""), query.get("cursor", "")
        limit = int(query.get("key_count_limit", "1000"))
        found = [key for key in sorted(live) if key.startswith(prefix) and key > after]
        keys: list[dict[str, Any]] = []
        for key in found[:limit]:
            metadata = live[key].metadata
            keys.append({"name": key, **({} if metadata is None else {"metadata": json.loads(metadata)})})
        more = len(found) > limit
        return {"keys": keys, "list_complete": not more, **({"cursor": found[limit - 1]} if more else {})}


async def _body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if "chunked" not in fields.get("transfer-encoding", ""):
        return await reader.readexactly(int(fields.get("content-length", "0")))
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _answer(status: str, body: bytes, metadata: str | None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    if metadata is not None:
        lines.append(f"CF-KV-Metadata: {metadata}")
    return "\r\n".join([*lines, "", ""]).encode() + body
