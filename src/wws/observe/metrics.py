"""Counts of what happened, and their exposition in Prometheus' text format.

Counting is plain arithmetic on objects found by one dictionary look-up; the library comes in only when somebody reads.
Labels come from closed sets (route patterns, configured models, `error_type`), and the number of series is bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from wws.bindings import Context
from wws.core.trail import Trail
from wws.http import Outcome, Request

# From half a millisecond (our own overhead) to five minutes (streams of models that reason), in seconds.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
MAX_SERIES = 2000
OTHER = "other"
K = TypeVar("K")


class Histogram:
    """Counts by bucket, and their sum in seconds."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Counts one observation."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus' buckets: upper bound and the count of everything at most as large."""
        total = 0
        rows: list[tuple[str, float]] = []
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self.counts, strict=True):
            total += count
            rows.append((bound, total))
        return rows


class _Requests:
    __slots__ = ("count", "duration", "overhead", "sent")

    def __init__(self) -> None:
        self.count = 0
        self.sent = 0
        self.duration = Histogram()
        self.overhead = Histogram()


class _Upstream:
    __slots__ = ("count", "duration")

    def __init__(self) -> None:
        self.count = 0
        self.duration = Histogram()


class Metrics(Collector):
    """Everything counted in one process. Called once for each finished request, with what `Services.observe` gets."""

    def __init__(self, monotonic: Callable[[], float], version: str = "0") -> None:
        self._monotonic = monotonic
        self._version = version
        self._requests: dict[tuple[str, int, str | None, bool], _Requests] = {}
        self._upstream: dict[tuple[str, str, str], _Upstream] = {}
        self._tokens: dict[tuple[str, str, str], int] = {}
        self._auth: dict[tuple[str, str], int] = {}
        self._limits: dict[tuple[str, str], int] = {}
        self._cache: dict[tuple[str, str], int] = {}
        self._streams: dict[tuple[str, str], int] = {}
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        """Name to help text and reader: what others have to show (connections, requests in flight)."""

    def __call__(self, request: Request, ctx: Context, status: int, outcome: Outcome, sent: int) -> None:
        trail = ctx.trail
        total = self._monotonic() - trail.started
        route = request.route
        path = "" if route is None else route.path
        key = (path, status, trail.error_type, trail.stream)
        series = self._requests.get(key)
        if series is None:
            if len(self._requests) >= MAX_SERIES:
                key = (OTHER, status, trail.error_type, trail.stream)
            series = self._requests.setdefault(key, _Requests())
        series.count += 1
        series.sent += sent
        series.duration.add(total)
        series.overhead.add(total - (trail.upstream or 0.0) if not trail.stream else _steps(trail))
        if trail.attempts:
            self._attempts(trail)
        if trail.auth is not None:
            _count(self._auth, (trail.auth_source or "none", "ok" if trail.auth_source else "refused"))
        if trail.limit_decision is not None and trail.limit_rule is not None:
            _count(self._limits, (trail.limit_rule.name, "admit" if trail.limit_decision.allowed else "refuse"))
        if trail.cache_outcome is not None and trail.cache_outcome != "bypass":
            _count(self._cache, (path, trail.cache_outcome))
        if trail.stream:
            _count(self._streams, (trail.provider or "none", outcome))

    def _attempts(self, trail: Trail) -> None:
        for attempt in trail.attempts:
            key = (attempt.provider, attempt.model, attempt.outcome)
            series = self._upstream.get(key)
            if series is None:
                if len(self._upstream) >= MAX_SERIES:
                    key = (attempt.provider, OTHER, attempt.outcome)
                series = self._upstream.setdefault(key, _Upstream())
            series.count += 1
            series.duration.add(attempt.seconds)
        usage = trail.usage
        if usage is not None:
            last = trail.attempts[-1]
            model = last.model if len(self._tokens) < MAX_SERIES else OTHER
            _count(self._tokens, (last.provider, model, "in"), usage.tokens_in)
            _count(self._tokens, (last.provider, model, "out"), usage.tokens_out)
            if usage.tokens_cached:
                _count(self._tokens, (last.provider, model, "cached"), usage.tokens_cached)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        """The families of Prometheus, from the counts as they are now."""
        yield from self._request_families()
        yield from self._upstream_families()
        for name, text, labels, counts in (
            ("wws_tokens", "Tokens, as the providers counted them.", ("provider", "model", "direction"), self._tokens),
            ("wws_auth", "Credentials checked.", ("source", "verdict"), self._auth),
            ("wws_limit_decisions", "Rate limit decisions.", ("rule", "decision"), self._limits),
            ("wws_cache", "Cache lookups.", ("route", "outcome"), self._cache),
            ("wws_stream_end", "Streams ended.", ("provider", "reason"), self._streams),
        ):
            family = CounterMetricFamily(name, text, labels=labels)
            for key, value in dict(counts).items():
                family.add_metric([*key], value)
            yield family
        for name, (text, read) in self.gauges.items():
            yield GaugeMetricFamily(name, text, value=read())
        info = GaugeMetricFamily("wws_config_info", "The configuration in force.", labels=("version",))
        info.add_metric([self._version], 1)
        yield info

    def _request_families(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        requests = CounterMetricFamily("wws_requests", "Requests finished.", labels=("route", "status", "error_type"))
        sent = CounterMetricFamily("wws_response_body_bytes", "Body bytes sent.", labels=("route",))
        duration: dict[tuple[str, str], Histogram] = {}
        overhead: dict[str, Histogram] = {}
        counts: dict[tuple[str, str, str], int] = {}
        totals: dict[str, int] = {}
        for (path, status, error_type, stream), series in dict(self._requests).items():
            _count(counts, (path, f"{status // 100}xx", error_type or ""), series.count)
            _count(totals, path, series.sent)
            _merge(duration.setdefault((path, "yes" if stream else "no"), Histogram()), series.duration)
            _merge(overhead.setdefault(path, Histogram()), series.overhead)
        for key, value in counts.items():
            requests.add_metric([*key], value)
        for path, value in totals.items():
            sent.add_metric([path], value)
        yield requests
        yield sent
        family = HistogramMetricFamily(
            "wws_request_duration_seconds", "From the request to its last byte.", labels=("route", "stream")
        )
        for labels, histogram in duration.items():
            family.add_metric([*labels], histogram.cumulative(), histogram.sum)
        yield family
        family = HistogramMetricFamily(
            "wws_overhead_seconds", "Time in the gateway itself, upstreams left out.", labels=("route",)
        )
        for path, histogram in overhead.items():
            family.add_metric([path], histogram.cumulative(), histogram.sum)
        yield family

    def _upstream_families(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        labels = ("provider", "model", "outcome")
        counts = CounterMetricFamily("wws_upstream_requests", "Calls of AI providers.", labels=labels)
        durations = HistogramMetricFamily(
            "wws_upstream_duration_seconds", "To the head, or the whole plain answer.", labels=labels
        )
        for key, series in dict(self._upstream).items():
            counts.add_metric([*key], series.count)
            durations.add_metric([*key], series.duration.cumulative(), series.duration.sum)
        yield counts
        yield durations


def _steps(trail: Trail) -> float:
    return (trail.auth or 0.0) + (trail.limit or 0.0) + (trail.route or 0.0) + (trail.cache or 0.0)


def _count(counts: dict[K, int], key: K, by: int = 1) -> None:
    counts[key] = counts.get(key, 0) + by


def _merge(into: Histogram, other: Histogram) -> None:
    into.counts = [a + b for a, b in zip(into.counts, other.counts, strict=True)]
    into.sum += other.sum


def exposition(metrics: Metrics) -> bytes:
    """Prometheus' text format, UTF-8."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    return generate_latest(registry)
