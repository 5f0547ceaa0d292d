"""Who used what, at what cost: one row for each minute, subject, route and model, in a SQLite file.

Requests are added up in memory and written every few seconds, so a busy minute costs as many rows as it has different
callers, not requests. When the machine loses power the last few seconds are lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from wws.core.policy import ProviderConfig
from wws.core.route.catalogue import cost_of, price_of
from wws.core.trail import Usage
from wws.observe.tally import Cell, Key

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
  attempts = attempts + excluded.attempts, tokens_in = tokens_in + excluded.tokens_in,
  tokens_out = tokens_out + excluded.tokens_out,
  tokens_cached = tokens_cached + excluded.tokens_cached, cost_usd = cost_usd + excluded.cost_usd
"""
_PATIENCE = 5.0
"""Seconds that a writer waits for another one: a write takes milliseconds."""


def ledger_file(store_url: str, home: Path) -> Path | None:
    """A project's ledger: in the folder of its LMDB store, in `.wws` where the store is elsewhere, none for `memory:`."""
    scheme, _, rest = store_url.partition(":")
    if scheme == "memory":
        return None
    return home / rest.partition("?")[0] / "ledger.sqlite" if scheme == "lmdb" else home / ".wws" / "ledger.sqlite"


class Ledger:
    """Adds up what a `Tally` gives it. `file` None keeps nothing on disk."""

    def __init__(self, file: Path | None, time: Callable[[], float], providers: Mapping[str, ProviderConfig]) -> None:
        self._file = file
        self._time = time
        self.use(providers)
        self._rows: dict[tuple[object, ...], list[float]] = {}

    def use(self, providers: Mapping[str, ProviderConfig]) -> None:
        """The providers are others from now on."""
        self._providers = providers

    def absorb(self, cells: dict[Key, Cell]) -> None:
        """Adds the cells of AI calls, which are what costs, to the rows of this minute."""
        if self._file is None:
            return
        minute = int(self._time() // 60)
        for key, cell in cells.items():
            if not cell.attempts:
                continue
            provider, model = key.provider or "", key.model or ""
            row = self._rows.setdefault(
                (minute, key.subject, key.key_id or "", key.route, provider, model), [0, 0, 0, 0, 0, 0, 0.0]
            )
            failed = key.status >= 400 or key.outcome != "done"
            usage = Usage(cell.tokens_in, cell.tokens_out, cell.tokens_cached)
            cost = cost_of(price_of(self._providers.get(provider), provider, model), usage)
            added = (cell.count, cell.count if failed else 0, cell.attempts, *usage, cost)
            for place, value in enumerate(added):
                row[place] += value

    def take(self) -> list[tuple[object, ...]]:
        """The rows that wait, which are then no longer kept: for `write`, in a thread if need be."""
        rows, self._rows = self._rows, {}
        return [(*key, *row) for key, row in rows.items()]

    def write(self, rows: list[tuple[object, ...]]) -> None:
        """Adds rows to the file. Blocking. Raises `sqlite3.Error`."""
        if self._file is not None and rows:
            self._write(self._file, rows)

    def create(self) -> None:
        """Makes the file, where there is none, before several processes write to it: only one may change its mode to WAL.

        Blocking. Raises `sqlite3.Error`.
        """
        if self._file is not None:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(self._file, [])

    @staticmethod
    def _write(file: Path, rows: list[tuple[object, ...]]) -> None:
        connection = sqlite3.connect(file, timeout=_PATIENCE)
        try:
            with connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(_SCHEMA)
                connection.executemany(_UPSERT, rows)
        finally:
            connection.close()
