"""Metrics of several processes as those of one."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from wws.observe.merge import Snapshot, Totals, exposition, snapshot


def process(count: float, level: float, state: float, up: float = 1.0) -> Snapshot:
    """What one process has to tell."""
    requests = CounterMetricFamily("wws_requests", "Requests.", labels=("route",))
    requests.add_metric(["/a"], count)
    duration = HistogramMetricFamily("wws_duration_seconds", "Time.", labels=("route",))
    duration.add_metric(["/a"], [("0.1", count), ("+Inf", count)], count / 10)
    active = GaugeMetricFamily("wws_requests_active", "Active.", value=level)
    breaker = GaugeMetricFamily("wws_breaker_state", "State.", labels=("model",))
    breaker.add_metric(["m"], state)
    store = GaugeMetricFamily("wws_store_up", "Up.", value=up)
    plain: Snapshot = json.loads(json.dumps(snapshot([requests, duration, active, breaker, store])))  # as it is sent
    return plain


def read(totals: Totals) -> dict[str, float]:
    """The samples that a scraper sees."""
    found = text_string_to_metric_families(exposition(totals).decode())
    return {
        one.name + (f"[{one.labels['le']}]" if "le" in one.labels else ""): one.value
        for family in found
        for one in family.samples
    }


def test_counts_are_added_and_states_are_the_worst() -> None:
    totals = Totals()
    totals.add(process(3, 2, 0))
    totals.add(process(4, 5, 2, up=0))
    assert read(totals) == {
        "wws_requests_total": 7,
        "wws_duration_seconds_bucket[0.1]": 7,
        "wws_duration_seconds_bucket[+Inf]": 7,
        "wws_duration_seconds_count": 7,
        "wws_duration_seconds_sum": 0.7,
        "wws_requests_active": 7,
        "wws_breaker_state": 2,
        "wws_store_up": 0,
    }


def test_one_that_has_ended_leaves_its_counts_and_no_levels() -> None:
    totals = Totals()
    totals.add(process(3, 2, 2, up=0), ended=True)
    totals.add(process(1, 1, 0))
    found = read(totals)
    assert found["wws_requests_total"] == 4 and found["wws_duration_seconds_count"] == 4
    assert (found["wws_requests_active"], found["wws_breaker_state"], found["wws_store_up"]) == (1, 0, 1)


def test_series_of_one_process_alone_are_kept_apart() -> None:
    other = CounterMetricFamily("wws_requests", "Requests.", labels=("route",))
    other.add_metric(["/b"], 9)
    totals = Totals()
    totals.add(process(3, 0, 0))
    totals.add(snapshot([other]))
    text = exposition(totals).decode()
    assert 'wws_requests_total{route="/a"} 3.0' in text and 'wws_requests_total{route="/b"} 9.0' in text
    assert text.count("# TYPE wws_requests_total counter") == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1000)), max_size=8))
def test_totals_of_totals_are_totals(processes: list[tuple[bool, int]]) -> None:
    """The supervisor keeps the sum of those that have ended, and adds it to those that run."""
    kept, all_at_once = Totals(), Totals()
    for ended, count in processes:
        if ended:
            kept.add(process(count, 1, 1), ended=True)
    running = Totals()
    running.add(kept.snapshot())
    for ended, count in processes:
        if not ended:
            running.add(process(count, 1, 1))
        all_at_once.add(process(count, 1, 1), ended=ended)
    one, other = read(running), read(all_at_once)
    assert one.keys() == other.keys()
    assert all(abs(one[name] - other[name]) < 1e-6 for name in one)


def test_a_gauge_of_any_name_is_a_quantity() -> None:
    totals = Totals()
    for _ in range(2):
        totals.add(snapshot([Metric("plain", "Without a line in its name.", "gauge")]))
        totals.add([["plain", "gauge", "text", [["plain", [], 2.0]]]])
    assert read(totals) == {"plain": 4.0}
