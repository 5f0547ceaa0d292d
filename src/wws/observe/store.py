"""A store that is somewhere else, as Prometheus sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

__all__ = ["store_families"]


class Latency(Protocol):
    """Counts by `bounds`, and the sum, in seconds."""

    @property
    def bounds(self) -> Sequence[float]: ...
    @property
    def counts(self) -> Sequence[int]: ...
    @property
    def sum(self) -> float: ...


class Guard(Protocol):
    """What is read of a guard."""

    @property
    def degraded(self) -> tuple[str, ...]: ...
    @property
    def errors(self) -> Mapping[str, int]: ...
    @property
    def latency(self) -> Latency: ...
    @property
    def opened(self) -> int: ...


class Near(Protocol):
    """What is read of a memory in front of a store."""

    @property
    def guard(self) -> Guard: ...
    @property
    def hits(self) -> int: ...
    @property
    def misses(self) -> int: ...
    @property
    def graced(self) -> int: ...


def store_families(near: Near) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
    """The families of one store."""
    guard = near.guard
    yield GaugeMetricFamily("wws_store_up", "1 while the store answers.", value=float(not guard.degraded))
    yield CounterMetricFamily("wws_store_breaker_opened", "How often the store was left alone.", value=guard.opened)
    errors = CounterMetricFamily("wws_store_errors", "Calls of the store that failed.", labels=("operation",))
    for operation, count in guard.errors.items():
        errors.add_metric([operation], count)
    yield errors
    reads = CounterMetricFamily("wws_store_near", "Sessions and keys looked for in this process.", labels=("outcome",))
    for outcome, count in (("hit", near.hits), ("miss", near.misses), ("grace", near.graced)):
        reads.add_metric([outcome], count)
    yield reads
    total, rows = 0, []
    for bound, count in zip([*map(str, guard.latency.bounds), "+Inf"], guard.latency.counts, strict=True):
        total += count
        rows.append((bound, float(total)))
    took = HistogramMetricFamily(
        "wws_store_duration_seconds", "From sending commands to the last reply, by turn of the loop.", labels=()
    )
    took.add_metric([], rows, guard.latency.sum)
    yield took
