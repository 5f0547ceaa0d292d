"""Durations as text: `500ms`, `60s`, `5m`, `1h`, `7d`, and several of them from the largest down: `1h30m`."""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["ALLOWED", "duration", "seconds"]

UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
"""Milliseconds of each unit, largest first."""
LONGEST = 3650 * UNITS["d"]
"""Ten years: whatever is longer is a slip of the keyboard."""
ALLOWED = 'a duration such as "500ms", "60s" or "1h30m"'

_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|[dhms])", re.ASCII)


def seconds(text: str) -> float:
    """The seconds of a duration. Raises `ValueError` for what is none: a bare number, a unit twice, a smaller one first."""
    total = Decimal(0)
    last: int | None = None
    at = 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or (last is not None and UNITS[part[2]] >= last):
            raise ValueError(f"not {ALLOWED}")
        last = UNITS[part[2]]
        total += Decimal(part[1]) * last
        at = part.end()
    if last is None:
        raise ValueError(f"not {ALLOWED}")
    if total > LONGEST:
        raise ValueError("longer than ten years")
    return float(total / 1000)


def duration(value: float) -> str:
    """The shortest text of `value` seconds, to the millisecond: 90.0 -> `1m30s`. The inverse of `seconds`."""
    rest = round(value * 1000)
    if rest < 0:
        raise ValueError("a duration is not negative")
    parts = []
    for unit, size in UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
