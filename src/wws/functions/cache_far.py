"""Stored answers behind the memory of one process: in the deployment's KV, for its other processes and for the next start.

What goes there: public answers up to 64 KiB that were asked for again, so that random query strings fill no store. An answer with
`Vary` lies behind a marker under the URI's own key, which names the fields; deleting that one key forgets them all. Everything
here fails open: a store that fails or is slow is left alone for a moment, and the origin is asked.
"""

from __future__ import annotations

import asyncio
import struct
from math import ceil

from wws.bindings import MAX_VALUE, MIN_TTL, Services
from wws.core.cache import key as keys
from wws.core.cache import vary
from wws.core.cache.entry import Entry, decode, encode
from wws.core.cache.shelf import Held, Key, Uri
from wws.errors import StoreError
from wws.http import Pair

__all__ = ["Far"]

_STORE_SECONDS = 0.05
"""Budget of one store call: a store that is down must cost a request no more than this."""
_PAUSE_SECONDS = 1.0
_LONGEST_TTL = 86_400.0
_PUTS_PER_MINUTE = 600
"""Answers written in a minute by one process: 37 MiB at most, whatever is asked for."""
_MARKER = b"wwsv"
_GENERATION = struct.Struct(">d")


class Far:
    """See the module. Keys are hashes; see `core.cache.key`."""

    def __init__(self, wws: Services) -> None:
        self._wws = wws
        self._clock = wws.clock.monotonic
        self._quiet_until = 0.0
        self._minute = 0.0
        self._puts = 0

    async def get(self, key: Key, raw: list[Pair]) -> Entry | None:
        """The stored answer that a request with the fields `raw` selects, or None."""
        if self._clock() < self._quiet_until:
            return None
        await _in_a_task()
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                data = await self._wws.kv.get(_name(key))
                generation, fields = _read_marker(data)
                if fields:
                    data = await self._wws.kv.get(_name(key, vary.select(fields, raw), generation))
            return None if data is None else _matching(decode(data), raw)
        except (StoreError, TimeoutError):
            self._quiet_until = self._clock() + _PAUSE_SECONDS
        except ValueError:  # written by another version
            pass
        return None

    async def put(self, key: Key, held: Held) -> None:
        """Writes an answer, unless it is too large or too many were written this minute."""
        if self._clock() < self._quiet_until or not self._allowed():
            return
        entry = held.entry
        age = self._clock() - held.born
        ttl = float(MIN_TTL + ceil(min(max(held.fresh, held.stale, held.error, age) - age, _LONGEST_TTL)))
        try:
            data = encode(entry)
            if len(data) > MAX_VALUE:
                return
            async with asyncio.timeout(_STORE_SECONDS):
                await self._write(key, entry, data, ttl)
        except (StoreError, TimeoutError):
            self._quiet_until = self._clock() + _PAUSE_SECONDS
        except ValueError:  # a field longer than the form can say
            pass

    async def _write(self, key: Key, entry: Entry, data: bytes, ttl: float) -> None:
        if not entry.vary:
            await self._wws.kv.put(_name(key), data, ttl)
            return
        fields = tuple([name for name, _ in entry.vary])
        generation, known = _read_marker(await self._wws.kv.get(_name(key)))
        if known != fields:
            generation = entry.response_time
            await self._wws.kv.put(_name(key), _MARKER + _GENERATION.pack(generation) + b",".join(fields), _LONGEST_TTL)
        await self._wws.kv.put(_name(key, entry.vary, generation), data, ttl)

    async def forget(self, uri: Uri) -> None:
        """Removes the public answers of a URI."""
        await _in_a_task()
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await self._wws.kv.delete(_name((*uri, keys.PUBLIC)))
        except (StoreError, TimeoutError):
            self._quiet_until = self._clock() + _PAUSE_SECONDS

    def _allowed(self) -> bool:
        now = self._clock()
        if now - self._minute >= 60.0:
            self._minute, self._puts = now, 0
        self._puts += 1
        return self._puts <= _PUTS_PER_MINUTE


async def _in_a_task() -> None:
    # A host may run a request up to its first wait outside of a task, and `asyncio.timeout` asks for one.
    if asyncio.current_task() is None:
        await asyncio.sleep(0)


def _name(key: Key, selection: vary.Selection = (), generation: float = 0.0) -> str:
    site, scheme, authority, path, query, partition = key
    text = keys.recipe(site, scheme, authority, "GET", path, query, selection, partition)
    return keys.STORED_PREFIX + keys.digest(f"{generation!r}|{text}" if selection else text)


def _read_marker(data: bytes | None) -> tuple[float, tuple[bytes, ...]]:
    """The generation and the field names of a marker; no names where `data` is none."""
    start = len(_MARKER) + _GENERATION.size
    if data is None or not data.startswith(_MARKER) or len(data) <= start:
        return 0.0, ()
    return _GENERATION.unpack_from(data, len(_MARKER))[0], tuple(data[start:].split(b","))


def _matching(entry: Entry, raw: list[Pair]) -> Entry | None:
    return entry if vary.matches(entry.vary, raw, dict(raw)) else None
