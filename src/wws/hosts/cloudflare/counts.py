"""Exact counts on Cloudflare: one Durable Object for each subject, which runs the same algorithm as every other store.

An object has one thread and its own SQLite database (developers.cloudflare.com/durable-objects), so a count is one plain function
call there: nothing can come in between. What crosses is one JSON text each way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from wws.core.limit import gcra, window
from wws.core.limit.decision import Decision
from wws.errors import StoreError
from wws.hosts.edge.web import Web

__all__ = ["Counts", "DurableCounter", "object_name"]

_RATE: Final = "v1:rate:"
# Without row ids a count is one page to write, not that of the table and that of its index.
_TABLE: Final = """\
CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, state BLOB NOT NULL, expires REAL NOT NULL) WITHOUT ROWID"""
SWEEP: Final = 60.0
"""Seconds after a count may be forgotten until it is."""


def object_name(key: str) -> str:
    """The object that a key is counted in: its subject, so that no object serves everybody."""
    parts = key.split(":", 3)
    return parts[2] if key.startswith(_RATE) and len(parts) == 4 else key


class DurableCounter:
    """`bindings.Counter` on a Durable Object namespace."""

    __slots__ = ("_namespace", "_web")
    consistency = "exact everywhere"

    def __init__(self, web: Web, namespace: Any) -> None:
        self._web = web
        self._namespace = namespace

    async def take(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> Decision:
        """See `Counter`; the time is the object's own unless `now` is given."""
        return Decision(*json.loads(await self._ask(key, ["take", key, limit, period, cost, now, burst])))

    async def give(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> None:
        """See `Counter`."""
        await self._ask(key, ["give", key, limit, period, cost, now, burst])

    async def _ask(self, key: str, call: list[Any]) -> str:
        try:
            stub = self._namespace.get(self._namespace.idFromName(object_name(key)))
            return str(await stub.count(json.dumps(call)))
        except self._web.ffi.JsException as error:
            raise StoreError(f"the Durable Object of a count failed: {str(error)[:200]}") from None


class Counts:
    """What one object does: counts in its SQLite database, with what was read kept in memory.

    `storage` is the object's `DurableObjectStorage`, `time` wall seconds.
    """

    __slots__ = ("_alarm", "_states", "_storage", "_time", "_web")

    def __init__(self, web: Web, storage: Any, time: Callable[[], float]) -> None:
        self._web = web
        self._storage = storage
        self._time = time
        self._alarm = False
        storage.sql.exec(_TABLE)
        self._states: dict[str, tuple[bytes, float]] = {
            row.key: (web.data(row.state), row.expires) for row in storage.sql.exec("SELECT key, state, expires FROM counts")
        }

    def count(self, call: str) -> str:
        """Runs one call of a `DurableCounter`."""
        what, *arguments = json.loads(call)
        return json.dumps({"take": self._take, "give": self._give}[what](*arguments))

    def _take(self, key: str, limit: int, period: float, cost: int, now: float | None, burst: int | None) -> list[Any]:
        at = self._time() if now is None else now
        state = self._states.get(key, (None, 0.0))[0]
        if burst is None:
            decision, new = window.take(state, at, limit, period, cost)
        else:
            decision, new = gcra.take(state, at, limit, period, burst, cost)
        if new is not None:
            self._keep(key, new, at + decision.reset_after)
        return list(decision)

    def _give(self, key: str, limit: int, period: float, cost: int, now: float | None, burst: int | None) -> None:
        state, expires = self._states.get(key, (None, 0.0))
        at = self._time() if now is None else now
        new = window.give(state, at, limit, period, cost) if burst is None else gcra.give(state, at, limit, period, burst, cost)
        if new is not None:
            self._keep(key, new, expires)

    def _keep(self, key: str, state: bytes, expires: float) -> None:
        self._states[key] = state, expires
        self._storage.sql.exec(
            "INSERT OR REPLACE INTO counts (key, state, expires) VALUES (?, ?, ?)", key, self._web.octets(state), expires
        )
        if not self._alarm:
            self._alarm = True
            self._wake(expires)

    def _wake(self, expires: float) -> None:
        self._storage.setAlarm(int((max(expires, self._time()) + SWEEP) * 1000))

    def sweep(self) -> None:
        """Forgets what may be forgotten, and comes back for the rest: an object that nobody asks keeps nothing."""
        now = self._time()
        self._storage.sql.exec("DELETE FROM counts WHERE expires <= ?", now)
        self._states = {key: kept for key, kept in self._states.items() if kept[1] > now}
        self._alarm = bool(self._states)
        if self._states:
            self._wake(min(expires for _, expires in self._states.values()))
