"""Who used what, at what cost: one row for each minute, subject, route and model, in a SQLite file.

Requests are added up in memory and written together every few seconds, so a busy minute costs as many rows as it has
different callers, not requests. What has not been written when the machine loses power, a few seconds, is lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from wws.bindings import Context
from wws.core.policy import ProviderConfig
from wws.core.route.catalogue import cost_usd
from wws.http import Outcome, Request

_SCHEMA = """
CREATE TABLE IF NOT EXISTS usage (
  minute INTEGER NOT NULL, subject TEXT NOT NULL, key_id TEXT NOT NULL, route TEXT NOT NULL,
  provider TEXT NOT NULL, model TEXT NOT NULL,
  requests INTEGER NOT NULL, errors INTEGER NOT NULL, attempts INTEGER NOT NULL,
  tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, tokens_cached INTEGER NOT NULL, cost_usd REAL NOT NULL,
  PRIMARY KEY (minute, subject, key_id, route, provider, model)
) WITHOUT ROWID
"""
_UPSERT = """
INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, errors = errors + excluded.errors,
  attempts = attempts + excluded.attempts, tokens_in = tokens_in + excluded.tokens_in, tokens_out = tokens_out + excluded.tokens_out,
  tokens_cached = tokens_cached + excluded.tokens_cached, cost_usd = cost_usd + excluded.cost_usd
"""
_MOST = 50_000
"""Rows that may wait in memory; beyond it new callers are added to one row without a subject."""


class Key(NamedTuple):
    """What a row adds up. `minute` is wall seconds // 60; empty texts where there is none."""

    minute: int
    subject: str
    key_id: str
    route: str
    provider: str
    model: str


class Ledger:
    """Called once for each finished request, with what `Services.observe` gets. `file` None keeps nothing on disk."""

    def __init__(self, file: Path | None, time: Callable[[], float], providers: Mapping[str, ProviderConfig]) -> None:
        self._file = file
        self._time = time
        self._kinds = {name: config.kind for name, config in providers.items()}
        self._rows: dict[Key, list[float]] = {}
        self._minute = 0
        self._until = 0.0

    def __call__(self, request: Request, ctx: Context, status: int, outcome: Outcome, sent: int) -> None:
        trail = ctx.trail
        if trail.reason is None:
            return  # only AI calls cost anything
        now = self._time()
        if now >= self._until:
            self._minute = int(now // 60)
            self._until = (self._minute + 1) * 60.0
        user, route = ctx.user, request.route
        key = Key(
            self._minute,
            "" if user is None else user.id,
            "" if user is None or user.key_id is None else user.key_id,
            "" if route is None else route.path,
            trail.provider or "",
            trail.model or "",
        )
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= _MOST:
                key = key._replace(subject="", key_id="")
            row = self._rows.setdefault(key, [0, 0, 0, 0, 0, 0, 0.0])
        row[0] += 1
        row[1] += status >= 400 or outcome != "done"
        row[2] += len(trail.attempts)
        usage = trail.usage
        if usage is not None:
            row[3] += usage.tokens_in
            row[4] += usage.tokens_out
            row[5] += usage.tokens_cached
            kind = self._kinds.get(key.provider, key.provider)
            row[6] += cost_usd(kind, key.model, usage) or 0.0

    def take(self) -> list[tuple[object, ...]]:
        """The rows that wait, which are then no longer kept: for `write`, in a thread if need be."""
        rows, self._rows = self._rows, {}
        return [(*key, *row) for key, row in rows.items()]

    def write(self, rows: list[tuple[object, ...]]) -> None:
        """Adds rows to the file. Blocking. Raises `sqlite3.Error`."""
        if self._file is None or not rows:
            return
        with sqlite3.connect(self._file, timeout=5.0) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(_SCHEMA)
            connection.executemany(_UPSERT, rows)
        connection.close()
