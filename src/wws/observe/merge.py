"""Metrics of several processes as those of one: counters and histograms are added up, gauges by what they mean.

A snapshot is plain data, which passes between processes as JSON. What a process that has ended had counted is kept, so that no
counter ever goes backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

__all__ = ["Snapshot", "Totals", "exposition", "snapshot"]

Snapshot = list[list[Any]]
"""For each family its name, type and help text, and for each of its samples the name, the labels in pairs and the value."""

COUNTED = frozenset({"counter", "histogram"})
"""Types of which a process that has ended leaves its share."""
ONE_OF: dict[str, Callable[[float, float], float]] = {
    "_state": max,
    "_info": max,
    "_messages": max,
    "_degraded": max,
    "_seconds": max,
    "_up": min,
}
"""Ends of the names of gauges of which the worst counts; all others are quantities, which are added up."""

_Key = tuple[str, tuple[tuple[str, str], ...]]


def snapshot(families: Iterable[Metric]) -> Snapshot:
    """The families as plain data."""
    return [
        [
            family.name,
            family.type,
            family.documentation,
            [[one.name, list(one.labels.items()), one.value] for one in family.samples],
        ]
        for family in families
    ]


class Totals(Collector):
    """Snapshots added up."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[str, str, dict[_Key, float]]] = {}

    def add(self, snapshot: Snapshot, *, ended: bool = False) -> None:
        """Adds a process's snapshot; of one that has `ended` only what it had counted."""
        for name, kind, text, samples in snapshot:
            if ended and kind not in COUNTED:
                continue
            known = self._families.get(name)
            if known is None:
                known = self._families[name] = (kind, text, {})
            values = known[2]
            both = _addition if kind in COUNTED else ONE_OF.get(name[name.rfind("_") :], _addition)
            for sample, labels, value in samples:
                key = (sample, tuple([(label, text) for label, text in labels]))
                before = values.get(key)
                values[key] = value if before is None else both(before, value)

    def snapshot(self) -> Snapshot:
        """All of it, to be added to others."""
        return snapshot(self.collect())

    def collect(self) -> Iterator[Metric]:
        """The families of Prometheus."""
        for name, (kind, text, values) in self._families.items():
            family = Metric(name, text, kind)
            for (sample, labels), value in values.items():
                family.add_sample(sample, dict(labels), value)
            yield family


def _addition(one: float, other: float) -> float:
    return one + other


def exposition(collector: Collector) -> bytes:
    """Prometheus' text format, UTF-8."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)
