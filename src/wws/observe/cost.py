"""What was used and what it cost, out of the ledger's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["BY", "Row", "costs"]

BY: Final = {
    "day": "date(minute * 60, 'unixepoch')",
    "month": "strftime('%Y-%m', minute * 60, 'unixepoch')",
    "provider": "provider",
    "model": "provider || '/' || model",
    "user": "subject",
    "key": "key_id",
    "route": "route",
}
"""What rows can be added up by, and how that is written in SQL. Days are UTC's."""
_SUMS: Final = "SUM(requests), SUM(errors), SUM(attempts), SUM(tokens_in), SUM(tokens_out), SUM(tokens_cached), SUM(cost_usd)"


class Row(NamedTuple):
    """The sums of what has the same `of`, in the order that was asked for. Cached tokens are among those that went in."""

    of: tuple[str, ...]
    requests: int
    errors: int
    attempts: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_usd: float


def costs(file: Path, by: Sequence[str], since: float = 0.0, until: float | None = None) -> list[Row]:
    """The sums by some of `BY`, from `since` until before `until` (seconds since 1970, to the minute); none without a file.

    Blocking. Raises `sqlite3.Error`.
    """
    if not file.exists():
        return []
    columns = ", ".join([BY[name] for name in by])
    last = 2**62 if until is None else int(until // 60)
    query = f"SELECT {columns}, {_SUMS} FROM usage WHERE minute >= ? AND minute < ? GROUP BY {columns} ORDER BY {columns}"  # noqa: S608
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5.0)
    try:
        rows = connection.execute(query, (int(since // 60), last)).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # made, and nothing has been written yet
            return []
        raise
    finally:
        connection.close()
    width = len(by)
    return [Row(tuple(map(str, row[:width])), *row[width:]) for row in rows]
