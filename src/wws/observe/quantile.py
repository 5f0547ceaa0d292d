"""Percentiles of durations from counts: no value is kept, and the counts of several processes add up.

A duration falls into one of eight buckets for each doubling from a microsecond on, so what is told is at most 9 % too high.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log2
from typing import Final

__all__ = ["Counts", "bucket", "merged", "percentile"]

Counts = dict[int, int]
"""Buckets to how many fell into each."""
_UNIT: Final = 1e-6  # seconds
_STEPS: Final = 8  # to a doubling


def bucket(seconds: float) -> int:
    """The bucket of a duration: 0 for a microsecond and less."""
    return 0 if seconds <= _UNIT else ceil(log2(seconds / _UNIT) * _STEPS)


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The seconds that `share` (0 to 1) of the durations do not exceed, by their bucket's upper bound; None without any."""
    total = sum(counts.values())
    if not total:
        return None
    wanted, seen = max(1, ceil(total * share)), 0
    for place in sorted(counts):
        seen += counts[place]
        if seen >= wanted:
            break
    return float(_UNIT * 2 ** (place / _STEPS))


def merged(many: list[Counts]) -> Counts:
    """The sum of several."""
    total: Counts = {}
    for counts in many:
        for place, count in counts.items():
            total[place] = total.get(place, 0) + count
    return total
