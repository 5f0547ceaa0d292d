"""Whether what was seen is flat: lines through the samples after the warm-up, and what was left when all was quiet."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from tests.soak.watch import Sample

__all__ = ["Check", "checks", "slope"]

MIB = 2**20
GROWTH = 0.04
"""The part of the memory at the end of the warm-up that it may grow by afterwards: allocators are not perfectly still."""
SHORT, SHORT_GROWTH = 60.0, 0.12
"""The same for a run whose warm-up was shorter than so many seconds: tables that are bounded still fill."""
PASSING = 4.0
"""Descriptors: the kernel and the gateway are not asked at the same moment, so some are counted while they open or close."""
LEAST = 3 * MIB
"""The least that is allowed, in bytes."""


class Check(NamedTuple):
    """One line of the table. `unit` is that of `before`, `after` and `allowed`, which bounds `after - before`."""

    what: str
    before: float
    after: float
    allowed: float
    unit: str

    @property
    def good(self) -> bool:
        """Whether it stayed within what is allowed."""
        return self.after - self.before <= self.allowed


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs of points (Theil-Sen): single peaks do not move it. 0 for fewer than two."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for index, a in enumerate(points) for b in points[index + 1 :] if b[0] != a[0]]
    return median(slopes) if slopes else 0.0


def checks(samples: Sequence[Sample], warm: float, calm: tuple[Sample, Sample], wrong: int) -> list[Check]:
    """The verdicts. `samples` were taken under load, those up to `warm` seconds in the warm-up; `calm` are one look before the
    load that counts and one after it, both when all was quiet; `wrong` counts the answers that should have been others."""
    steady = [sample for sample in samples if sample.at >= warm]
    span = steady[-1].at - steady[0].at
    memory = slope([(sample.at, sample.memory) for sample in steady]) * span
    start = median([sample.memory for sample in steady[: max(1, len(steady) // 5)]])
    allowed = max(LEAST, (GROWTH if warm >= SHORT else SHORT_GROWTH) * start)
    first, last = calm
    third = max(1, len(steady) // 3)
    early, late = [median([sample.gauges.tasks for sample in part]) for part in (steady[:third], steady[-third:])]
    return [
        Check("memory under load, by its trend", start / MIB, (start + memory) / MIB, allowed / MIB, "MiB"),
        Check("tasks under load", early, late, max(10.0, early * 0.5), ""),
        Check("tasks when all is quiet", first.gauges.tasks, last.gauges.tasks, 0.0, ""),
        Check("descriptors that are no connections, when all is quiet", first.lasting, last.lasting, PASSING, ""),
        Check("connections of clients, when all is quiet", 0.0, last.gauges.connections, 0.0, ""),
        Check("requests in progress, when all is quiet", 0.0, last.gauges.active, 0.0, ""),
        Check("answers that should have been others", 0.0, float(wrong), 0.0, ""),
    ]
