"""Where values and counts are kept; `open_store` takes the address that stands in `[kv] store`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl

from wws.bindings import KV, Claims, Clock, Counter, Kept, Queues
from wws.stores.memory import MemoryStore
from wws.stores.near import Near
from wws.stores.redis_address import ALLOWED as REDIS
from wws.stores.redis_address import SCHEMES, parse_redis

if TYPE_CHECKING:
    from wws.stores.lmdb import LmdbStore
    from wws.stores.redis import RedisStore

__all__ = ["JobStore", "Near", "Store", "WholeStore", "open_for_serving", "open_jobs", "open_store"]


class Store(KV, Counter, Protocol):
    """What the self-hosted gateway needs of a store: values and exact counts in one, swept now and then, closed at the end."""

    async def sweep(self, max_entries: int = 1000) -> int:
        """Removes up to `max_entries` that have expired; how many it did."""
        ...

    def close(self) -> None:
        """Lets go of files and memory."""
        ...


class JobStore(Claims, Queues, Protocol):
    """Where cron ticks are claimed and queues are kept."""

    def close(self) -> None:
        """Lets go of files and memory."""
        ...


class WholeStore(Store, Protocol):
    """A store itself, with nothing in front of it: what `open_store` gives."""

    async def kept(self, key: str) -> Kept | None:
        """What `get` gives, with the time until which it is kept. Raises `StoreError`."""
        ...


_PATIENCE = 5.0
"""Seconds a command waits for Redis."""
_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_ALLOWED = f'allowed are "memory:", "lmdb:DIRECTORY" (with ?map_size=1GiB for more than 256 MiB) and {REDIS}'


def open_store(url: str, base: Path, clock: Clock | None = None) -> MemoryStore | LmdbStore | RedisStore:
    """The store at `url`; a relative directory is below `base`, the project's folder.

    It waits longer for Redis than a request would: this is for commands. Raises `ValueError` for an address that is none of
    the allowed, `StoreError` when the store cannot be opened.
    """
    scheme, colon, rest = url.partition(":")
    if not colon:
        raise ValueError(f"store {url!r} is not an address: {_ALLOWED}")
    if scheme == "memory":
        if rest:
            raise ValueError(f"store {url!r}: write just memory:")
        return MemoryStore(clock)
    if scheme == "lmdb":
        return _open_lmdb(url, rest, base, clock)
    if scheme in SCHEMES:
        from wws.stores.redis import RedisStore  # loads hiredis, which other stores do without

        return RedisStore(parse_redis(url), clock, _PATIENCE)
    raise ValueError(f"store {url!r} has the unknown scheme {scheme!r}: {_ALLOWED}")


def open_jobs(url: str, base: Path, clock: Clock | None = None) -> JobStore:
    """The claims and queues that go with the store at `url`, which `open_store` has taken. Raises as it does."""
    scheme, _, rest = url.partition(":")
    if scheme == "lmdb":
        from wws.stores.lmdb_jobs import LmdbJobs

        return LmdbJobs(base / rest.partition("?")[0], clock)
    if scheme in SCHEMES:
        from wws.stores.redis import RedisStore
        from wws.stores.redis_jobs import RedisJobs

        return RedisJobs(RedisStore(parse_redis(url), clock, _PATIENCE), clock)
    from wws.stores.memory_jobs import MemoryJobs

    return MemoryJobs(clock)


def open_for_serving(url: str, base: Path, timeout: float, near: float, grace: float) -> Store:
    """`open_store` for a gateway: a store that is somewhere else gets a guard and a memory in front of it.

    Seconds: `timeout` for one call, `near` for which the memory is believed, `grace` for which it is when the store is gone.
    """
    if url.partition(":")[0] not in SCHEMES:
        return open_store(url, base)
    from wws.stores.remote import open_remote

    return open_remote(url, timeout, near, grace)


def _open_lmdb(url: str, rest: str, base: Path, clock: Clock | None) -> LmdbStore:
    from wws.stores.lmdb import MAP_SIZE, LmdbStore  # a project on memory: needs no lmdb

    directory, _, query = rest.partition("?")
    if not directory:
        raise ValueError(f"store {url!r} names no directory: write lmdb:./.wws/state")
    size = MAP_SIZE
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name != "map_size":
            raise ValueError(f"store {url!r} has the unknown option {name!r}: map_size is the only one")
        size = _bytes(url, value)
    return LmdbStore(base / directory, clock, size)


def _bytes(url: str, text: str) -> int:
    number, unit = text[:-3], text[-3:]
    if unit not in _UNITS or not number.isdecimal() or not 1 <= int(number) * _UNITS[unit] <= 2**46:
        raise ValueError(f"store {url!r}: map_size is a size such as 512MiB or 2GiB, not {text!r}")
    return int(number) * _UNITS[unit]
