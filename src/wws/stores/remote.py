"""The parts of a store that is somewhere else, put together for serving: a memory, a guard, the way there."""

from __future__ import annotations

from wws.bindings import Clock, SystemClock
from wws.stores.guard import Guard, Latency
from wws.stores.near import TRACKED, Near
from wws.stores.redis import RedisStore
from wws.stores.redis_address import parse_redis

__all__ = ["open_remote"]


def open_remote(url: str, budget: float, age: float, grace: float, clock: Clock | None = None) -> Near:
    """The store at `url`, guarded: one call may take `budget` seconds; `age` and `grace` are those of `Near`.

    Raises `ValueError` for a bad address, `StoreError` for TLS files that cannot be used.
    """
    address, latency = parse_redis(url), Latency()
    monotonic = (clock or SystemClock()).monotonic

    def changed(names: list[str] | None) -> None:
        near.changed(names)

    store = RedisStore(address, clock, budget, TRACKED if age > 0 else (), changed, latency.add)
    near = Near(Guard(store, str(address), latency, monotonic), monotonic, lambda: store.tracks, age, grace)
    return near
