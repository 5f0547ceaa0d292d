"""KV namespaces: what a function sees as `env.NAME` for each of `[[kv_namespaces]]`."""

from __future__ import annotations

from typing import Any

from wws import codec
from wws.bindings import KV, MAX_VALUE, MIN_TTL, KeyPage

__all__ = ["Namespace"]


class Namespace:
    """A KV namespace as functions see it: text by default, keys of its own.

    Raises `ValueError` for what is not portable: values over 64 KiB, an expiration under 60 s, keys over 512 bytes.
    """

    __slots__ = ("_kv", "_prefix")

    def __init__(self, kv: KV, name: str) -> None:
        self._kv = kv
        self._prefix = f"ns:{name}:"

    def _key(self, key: str) -> str:
        if not key or len(key.encode()) > 512:
            raise ValueError("a key is 1 to 512 bytes of UTF-8")
        return self._prefix + key

    async def get(self, key: str, type: str = "text") -> Any:
        """The value as `text`, `bytes` or `json`, or None."""
        value = await self._kv.get(self._key(key))
        if value is None or type == "bytes":
            return value
        if type == "json":
            return codec.decode(value)
        if type != "text":
            raise ValueError(f"type is text, bytes or json, not {type!r}")
        return value.decode()

    async def put(self, key: str, value: str | bytes, expiration_ttl: float | None = None) -> None:
        """Writes text or bytes; absent again `expiration_ttl` seconds later."""
        data = value.encode() if isinstance(value, str) else value
        if len(data) > MAX_VALUE:
            raise ValueError(f"a value is at most {MAX_VALUE} bytes, this one is {len(data)}")
        if expiration_ttl is not None and expiration_ttl < MIN_TTL:
            raise ValueError(f"expiration_ttl is at least {MIN_TTL} seconds, not {expiration_ttl}")
        await self._kv.put(self._key(key), data, expiration_ttl)

    async def delete(self, key: str) -> None:
        """Removes the key; a missing one is no error."""
        await self._kv.delete(self._key(key))

    async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> KeyPage:
        """Key names with `prefix`, in order; the next page with the `cursor` of this one."""
        page = await self._kv.list(self._prefix + prefix, cursor, limit)
        return KeyPage([key[len(self._prefix) :] for key in page.keys], page.cursor)
