"""Workers KV as `bindings.KV`: eventually consistent, and exact about when a key expires.

Workers KV keeps no key for less than 60 seconds, so the moment of expiry travels in the key's metadata and is looked at when
it is read (developers.cloudflare.com/kv/api/write-key-value-pairs).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import ceil, inf
from typing import Any, Final

from wws.bindings import MIN_TTL, KeyPage
from wws.errors import StoreError
from wws.hosts.edge.web import Web

__all__ = ["NEAR_KEYS", "NEAR_VALUE", "WorkersKV"]

NEAR_KEYS: Final = 4096
NEAR_VALUE: Final = 4096
"""Bytes of a value that is remembered: sessions and keys, not cached answers, which have a memory of their own."""
_END: Final = "e"  # of the metadata: wall seconds at which the key is absent


class WorkersKV:
    """One KV namespace. `prefix` is what the keys begin with for their reader, and not in the namespace.

    With `near` what was read is taken for true for so many seconds in this isolate, unless the isolate itself changes it: less
    than the platform takes to tell of a change, and a KV read less in nearly every request.
    """

    __slots__ = ("_epoch", "_namespace", "_near", "_prefix", "_read", "_time", "_web")
    consistency = "eventual; a change is seen elsewhere within about a minute"

    def __init__(self, web: Web, namespace: Any, time: Callable[[], float], prefix: str = "", near: float = 0.0) -> None:
        self._web = web
        self._namespace = namespace
        self._time = time
        self._prefix = prefix
        self._near = near
        self._read: dict[str, tuple[float, bytes | None]] = {}  # until when it is taken for true, and the value
        self._epoch = 0

    def epoch(self) -> int:
        """See `KV`: another number after what this isolate has changed. What others change is seen late here in any case."""
        return self._epoch

    async def get(self, key: str) -> bytes | None:
        """See `KV`."""
        now = self._time()
        known = self._read.get(key)
        if known is not None and now < known[0]:
            return known[1]
        web = self._web
        try:
            found = await self._namespace.getWithMetadata(self._name(key), "arrayBuffer")
        except web.ffi.JsException as error:
            raise _failed("get", error) from None
        value = web.present(found.value)
        metadata = web.present(found.metadata)
        end = inf if metadata is None else getattr(metadata, _END, inf)
        now = self._time()
        data = None if value is None or end <= now else web.data(value)
        self._remember(key, data, min(end, now + self._near) if data is not None else now + self._near)
        return data

    def _remember(self, key: str, data: bytes | None, until: float) -> None:
        if self._near and len(data or b"") <= NEAR_VALUE:
            if len(self._read) >= NEAR_KEYS:
                self._read.clear()
            self._read[key] = until, data

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        """See `KV`. What KV has taken is durable."""
        web = self._web
        self._epoch += durable
        self._read.pop(key, None)
        data = value.encode() if isinstance(value, str) else value
        options: dict[str, Any] = {}
        if expiration_ttl is not None:
            options = {
                "expirationTtl": max(MIN_TTL, ceil(expiration_ttl)),
                "metadata": {_END: self._time() + expiration_ttl},
            }
        try:
            await self._namespace.put(self._name(key), web.octets(data), web.plain(options))
        except web.ffi.JsException as error:
            raise _failed("put", error) from None
        self._read.pop(key, None)  # whoever read while it was written has the value before

    async def delete(self, key: str) -> None:
        """See `KV`."""
        self._epoch += 1
        self._read.pop(key, None)
        try:
            await self._namespace.delete(self._name(key))
        except self._web.ffi.JsException as error:
            raise _failed("delete", error) from None
        self._read.pop(key, None)

    async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> KeyPage:
        """See `KV`. A page may hold fewer than `limit` names: those that have expired in the last minute are left out."""
        if not 1 <= limit <= 1000:
            raise ValueError(f"limit is 1 to 1000, not {limit}")
        web = self._web
        options: dict[str, Any] = {"prefix": self._name(prefix), "limit": limit}
        if cursor is not None:
            options["cursor"] = cursor
        try:
            answer = await self._namespace.list(web.plain(options))
        except web.ffi.JsException as error:
            raise _failed("list", error) from None
        page = json.loads(web.js.JSON.stringify(answer))
        now = self._time()
        live = [key["name"] for key in page["keys"] if (key.get("metadata") or {}).get(_END, now + 1) > now]
        return KeyPage([self._prefix + name for name in live], None if page["list_complete"] else page["cursor"])

    def _name(self, key: str) -> str:
        return key.removeprefix(self._prefix)


def _failed(what: str, error: Exception) -> StoreError:
    # The reason is the platform's own ("KV PUT failed: 429 Too Many Requests"); it holds no value and no key.
    return StoreError(f"Workers KV {what} failed: {str(error)[:200]}")
