"""Prometheus' view of what was counted, in its text format.

Labels come from closed sets (route patterns, configured models, `error_type`), and the number of series is bounded: what is
beyond the bound is counted under `other`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from wws.bindings import COOLDOWNS, LIMIT_DEGRADED, QUEUE_WAIT
from wws.observe.tally import BUCKETS, Cell, Key, Tally

MAX_SERIES = 2000
OTHER = "other"
Labels = tuple[str, ...]
Series = tuple[str, Labels, Callable[[], Iterable[tuple[Labels, float]]]]
Families = Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]


EVENTS: tuple[tuple[str, str, Labels], ...] = (
    ("wws_cron_runs", "Runs of scheduled functions.", ("function", "outcome")),
    ("wws_cron_missed", "Ticks that did not run.", ("function", "reason")),
    ("wws_queue_sent", "Messages sent to queues.", ("queue",)),
    ("wws_queue_deliveries", "What became of messages that were delivered.", ("queue", "result")),
    ("wws_function_timeouts", "Requests answered because a function took too long.", ("function",)),
    ("wws_function_overruns", "Functions that went on after they were cancelled.", ("function",)),
    ("wws_function_blocks", "Times that a function held up the event loop.", ("function",)),
    ("wws_function_stops", "Functions stopped because they held up the event loop for too long.", ("function",)),
    ("wws_isolate_ends", "Processes of isolated functions that ended, and why.", ("function", "reason")),
)
"""What others count by `Services.measure`, with what it is and its labels."""


class Histogram:
    """Counts by bucket, and the sum of what was observed, in seconds."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def add(self, counts: Sequence[int], total: float) -> None:
        """Adds another histogram's counts and sum."""
        self.counts = [a + b for a, b in zip(self.counts, counts, strict=True)]
        self.sum += total

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus' buckets: an upper bound and the count of everything at most as large."""
        total = 0
        rows: list[tuple[str, float]] = []
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self.counts, strict=True):
            total += count
            rows.append((bound, total))
        return rows


class Metrics(Collector):
    """Everything counted in one process. `gauges` and `series` are what others have to show: name to help text
    and reader, for `series` with the names of the labels between them and a reader that gives label values and value."""

    def __init__(self, tally: Tally, version: str = "0") -> None:
        self._tally = tally
        self.version = version
        self._requests: dict[Labels, int] = {}
        self._sent: dict[Labels, int] = {}
        self._duration: dict[Labels, Histogram] = {}
        self._overhead: dict[Labels, Histogram] = {}
        self._attempts: dict[Labels, int] = {}
        self._retries: dict[Labels, int] = {}
        self._fallbacks: dict[Labels, int] = {}
        self._degraded: dict[Labels, int] = {}
        self._cooldowns: dict[Labels, int] = {}
        self._queue_waits: dict[Labels, Histogram] = {}
        self._upstream: dict[Labels, Histogram] = {}
        self._tokens: dict[Labels, int] = {}
        self._auth: dict[Labels, int] = {}
        self._limits: dict[Labels, int] = {}
        self._cache: dict[Labels, int] = {}
        self._streams: dict[Labels, int] = {}
        self._events: dict[str, dict[Labels, int]] = {name: {} for name, _, _ in EVENTS}
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self.series: dict[str, Series] = {}
        self.others: list[Callable[[], Families]] = []
        """Whole families of others."""
        tally.reader(self.absorb)

    def absorb(self, cells: dict[Key, Cell]) -> None:
        """Adds cells to the series they belong to."""
        for key, cell in cells.items():
            route, count = key.route, cell.count
            _count(self._requests, (route, f"{key.status // 100}xx", key.error_type or ""), count)
            _count(self._sent, (route,), cell.sent)
            _histogram(self._duration, (route, "yes" if key.stream else "no")).add(cell.duration, cell.duration_sum)
            _histogram(self._overhead, (route,)).add(cell.overhead, cell.overhead_sum)
            if key.provider is not None:
                self._answered(key.provider, key.model or "", cell)
            for attempt in cell.failed:
                _count(self._attempts, self._bounded(attempt.provider, attempt.model, attempt.outcome))
            for before, after in cell.moves:
                if (before.provider, before.model) == (after.provider, after.model):
                    _count(self._retries, (before.provider, before.outcome))
                else:
                    _count(self._fallbacks, (before.provider, after.provider, "ok" if after.outcome == "ok" else "failed"))
            if cell.authenticated:
                _count(self._auth, (key.auth_source or "none", "ok" if key.auth_source else "refused"), cell.authenticated)
            if key.limit is not None:
                refused = key.error_type == "policy_rate_limited"
                _count(self._limits, (key.limit, "refuse" if refused else "admit"), count)
            if key.cache is not None and key.cache != "bypass":
                _count(self._cache, (route, key.cache), count)
            if key.stream:
                _count(self._streams, (key.provider or "none", key.outcome), count)

    def measure(self, name: str, labels: Labels, value: float) -> None:
        """See `Services.measure`. Raises `KeyError` for a name that is none of its."""
        if name == COOLDOWNS:
            provider, model, error_type = labels
            full = len(self._cooldowns) >= MAX_SERIES and labels not in self._cooldowns
            _count(self._cooldowns, (provider, OTHER if full else model, error_type), int(value))
        elif name == QUEUE_WAIT:
            full = len(self._queue_waits) >= MAX_SERIES and labels not in self._queue_waits
            counts = [0] * (len(BUCKETS) + 1)
            counts[bisect_left(BUCKETS, value)] = 1
            _histogram(self._queue_waits, (labels[0], OTHER) if full else labels).add(counts, value)
        elif name == LIMIT_DEGRADED:
            _count(self._degraded, labels, int(value))
        else:
            events = self._events[name]
            full = len(events) >= MAX_SERIES and labels not in events
            _count(events, (OTHER, *labels[1:]) if full else labels, int(value))

    def _answered(self, provider: str, model: str, cell: Cell) -> None:
        answered = sum(cell.upstream)
        _, model, _ = self._bounded(provider, model, "ok")
        _count(self._attempts, (provider, model, "ok"), answered)
        _histogram(self._upstream, (provider, model)).add(cell.upstream, cell.upstream_sum)
        for direction, tokens in (("in", cell.tokens_in), ("out", cell.tokens_out), ("cached", cell.tokens_cached)):
            if tokens:
                _count(self._tokens, (provider, model, direction), tokens)

    def _bounded(self, provider: str, model: str, outcome: str) -> tuple[str, str, str]:
        key = (provider, model, outcome)
        return key if key in self._attempts or len(self._attempts) < MAX_SERIES else (provider, OTHER, outcome)

    def collect(self) -> Families:
        """The families of Prometheus, from the counts as they are now."""
        self._tally.drain()
        counters: tuple[tuple[str, str, Labels, dict[Labels, int]], ...] = (
            ("wws_requests", "Requests finished.", ("route", "status", "error_type"), self._requests),
            ("wws_response_body_bytes", "Body bytes sent.", ("route",), self._sent),
            ("wws_upstream_requests", "Calls of AI providers.", ("provider", "model", "outcome"), self._attempts),
            ("wws_retries", "Second tries at the same model.", ("provider", "error_type"), self._retries),
            ("wws_fallbacks", "Calls of another model after one that failed.", ("from", "to", "result"), self._fallbacks),
            ("wws_cooldowns", "Models left alone for a while.", ("provider", "model", "error_type"), self._cooldowns),
            ("wws_tokens", "Tokens, as the providers counted them.", ("provider", "model", "direction"), self._tokens),
            ("wws_auth", "Credentials checked.", ("source", "verdict"), self._auth),
            ("wws_limit_degraded", "Requests counted in this process, for the store failed.", ("rule",), self._degraded),
            ("wws_limit_decisions", "Rate limit decisions.", ("rule", "decision"), self._limits),
            ("wws_cache", "Cache lookups.", ("route", "outcome"), self._cache),
            ("wws_stream_end", "Streams ended.", ("provider", "reason"), self._streams),
        )
        for name, text, labels, counts in (*counters, *[(*row, self._events[row[0]]) for row in EVENTS]):
            family = CounterMetricFamily(name, text, labels=labels)
            for key, value in counts.items():
                family.add_metric([*key], value)
            yield family
        histograms: tuple[tuple[str, str, Labels, dict[Labels, Histogram]], ...] = (
            ("wws_request_duration_seconds", "From the request to its last byte.", ("route", "stream"), self._duration),
            ("wws_overhead_seconds", "Time in the gateway itself, upstreams left out.", ("route",), self._overhead),
            ("wws_upstream_duration_seconds", "Of the call that answered.", ("provider", "model"), self._upstream),
            ("wws_queue_wait_seconds", "In line for a place.", ("provider", "model"), self._queue_waits),
        )
        for name, text, labels, series in histograms:
            histogram = HistogramMetricFamily(name, text, labels=labels)
            for key, values in series.items():
                histogram.add_metric([*key], values.cumulative(), values.sum)
            yield histogram
        for name, (text, read) in self.gauges.items():
            yield GaugeMetricFamily(name, text, value=read())
        for name, (text, labels, read_all) in self.series.items():
            gauge = GaugeMetricFamily(name, text, labels=labels)
            for key, level in read_all():
                gauge.add_metric([*key], level)
            yield gauge
        for more in self.others:
            yield from more()
        info = GaugeMetricFamily("wws_config_info", "The configuration in force.", labels=("version",))
        info.add_metric([self.version], 1)
        yield info


def _count(counts: dict[Labels, int], key: Labels, by: int = 1) -> None:
    counts[key] = counts.get(key, 0) + by


def _histogram(series: dict[Labels, Histogram], key: Labels) -> Histogram:
    found = series.get(key)
    if found is None:
        found = series[key] = Histogram()
    return found
