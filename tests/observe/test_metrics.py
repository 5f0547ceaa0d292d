"""What was counted, as Prometheus reads it."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.observe.seen import FAILED, add, call, page
from wws.bindings import COOLDOWNS, QUEUE_WAIT
from wws.core.auth.user import User
from wws.core.trail import Attempt
from wws.observe import metrics as module
from wws.observe.merge import exposition
from wws.observe.metrics import Metrics
from wws.observe.tally import BUCKETS, Tally


class World:
    """A tally with its metrics."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.metrics = Metrics(self.tally, "v-1")

    @property
    def text(self) -> str:
        return exposition(self.metrics).decode()

    @property
    def samples(self) -> list[Sample]:
        """Everything in the text, as a scraper parses it."""
        return [sample for family in text_string_to_metric_families(self.text) for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The one sample of this name and with these labels among its own; 0 where there is none."""
        found = [one.value for one in self.samples if one.name == name and labels.items() <= one.labels.items()]
        assert len(found) < 2, found
        return found[0] if found else 0.0


@pytest.fixture
def world() -> World:
    return World()


def test_the_text_of_a_gateway_that_did_nothing_yet(world: World) -> None:
    assert world.value("wws_config_info", version="v-1") == 1
    assert "# TYPE wws_requests_total counter" in world.text
    assert "# TYPE wws_request_duration_seconds histogram" in world.text


def test_requests_by_route_status_and_error(world: World) -> None:
    add(world.tally, page())
    add(world.tally, page(), status=204)
    add(world.tally, page(error_type="dependency_unavailable"), status=502)
    assert world.value("wws_requests_total", route="/*", status="2xx", error_type="") == 2
    assert world.value("wws_requests_total", route="/*", status="5xx", error_type="dependency_unavailable") == 1
    assert world.value("wws_response_body_bytes_total", route="/*") == 300


def test_an_ai_call_with_its_attempts_and_tokens(world: World) -> None:
    add(world.tally, call(FAILED, Attempt("backup", "coder", "ok", 0.3)))
    add(world.tally, call())
    assert world.value("wws_upstream_requests_total", provider="main", model="coder", outcome="provider_timeout") == 1
    assert world.value("wws_upstream_requests_total", provider="main", model="coder", outcome="ok") == 1
    assert world.value("wws_upstream_requests_total", provider="backup", model="coder", outcome="ok") == 1
    assert world.value("wws_tokens_total", provider="main", direction="in") == 10
    assert world.value("wws_tokens_total", provider="backup", direction="out") == 5
    assert world.value("wws_upstream_duration_seconds_sum", provider="backup") == pytest.approx(0.3)
    assert world.value("wws_upstream_duration_seconds_count", provider="main") == 1


def test_second_tries_and_fallbacks(world: World) -> None:
    again, other = Attempt("main", "coder", "provider_server_error", 0.1), Attempt("backup", "coder", "ok", 0.3)
    add(world.tally, call(again, again, other))
    add(world.tally, call(FAILED, Attempt("backup", "coder", "provider_timeout", 1.0)))
    assert world.value("wws_retries_total", provider="main", error_type="provider_server_error") == 1
    labels = {"from": "main", "to": "backup"}
    assert world.value("wws_fallbacks_total", **labels, result="ok") == 1
    assert world.value("wws_fallbacks_total", **labels, result="failed") == 1
    assert sum(one.value for one in world.samples if one.name == "wws_retries_total") == 1


def test_cooldowns_and_waits_in_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds in (0.02, 0.3):
        world.metrics.measure(QUEUE_WAIT, ("main", "coder"), seconds)
    world.metrics.measure(COOLDOWNS, ("main", "coder", "provider_timeout"), 1)
    assert world.value("wws_cooldowns_total", provider="main", model="coder", error_type="provider_timeout") == 1
    assert world.value("wws_queue_wait_seconds_count", provider="main", model="coder") == 2
    assert world.value("wws_queue_wait_seconds_sum", provider="main") == pytest.approx(0.32)
    assert world.value("wws_queue_wait_seconds_bucket", provider="main", le="0.025") == 1
    with pytest.raises(KeyError):
        world.metrics.measure("wws_unheard_of", (), 1)
    monkeypatch.setattr(module, "MAX_SERIES", 5)
    for number in range(50):
        world.metrics.measure(QUEUE_WAIT, ("main", f"model-{number}"), 1.0)
        world.metrics.measure(COOLDOWNS, ("main", f"model-{number}", "provider_timeout"), 1)
    for name in ("wws_cooldowns_total", "wws_queue_wait_seconds_count"):
        samples = [one for one in world.samples if one.name == name]
        assert len(samples) <= 6
        assert sum(one.value for one in samples) >= 51


def test_credentials_limits_cache_and_streams(world: World) -> None:
    add(world.tally, call())
    add(world.tally, call(auth_source=None, error_type="policy_unauthenticated"), status=401)
    add(world.tally, call(error_type="policy_rate_limited"), status=429)
    add(world.tally, page(cache_outcome="hit"))
    add(world.tally, page(cache_outcome="bypass"))
    add(world.tally, call(stream=True), outcome="cut")
    assert world.value("wws_auth_total", source="cache", verdict="ok") == 3
    assert world.value("wws_auth_total", source="none", verdict="refused") == 1
    assert world.value("wws_limit_decisions_total", rule="chat", decision="refuse") == 1
    assert world.value("wws_limit_decisions_total", rule="chat", decision="admit") == 3
    assert world.value("wws_cache_total", route="/*", outcome="hit") == 1
    assert not [one for one in world.samples if one.labels.get("outcome") == "bypass"]
    assert world.value("wws_stream_end_total", provider="main", reason="cut") == 1


def test_histograms_are_cumulative_and_end_in_the_count(world: World) -> None:
    for total in (0.0004, 0.003, 0.003, 2.0, 1000.0):
        add(world.tally, page(), total=total)
    name = "wws_request_duration_seconds"
    buckets = [(one.labels["le"], one.value) for one in world.samples if one.name == f"{name}_bucket"]
    assert len(buckets) == len(BUCKETS) + 1
    values = [value for _, value in buckets]
    assert values == sorted(values)
    assert buckets[0] == ("0.0005", 1)
    assert dict(buckets)["0.005"] == 3
    assert buckets[-1] == ("+Inf", 5)
    assert world.value(f"{name}_count", route="/*", stream="no") == 5
    assert world.value(f"{name}_sum", route="/*", stream="no") == pytest.approx(1002.0064)


def test_reading_twice_counts_nothing_twice(world: World) -> None:
    add(world.tally, page())
    assert world.value("wws_requests_total") == world.value("wws_requests_total") == 1
    add(world.tally, page())
    assert world.value("wws_requests_total") == 2


def test_gauges_are_read_when_somebody_asks(world: World) -> None:
    level = [3.0]
    world.metrics.gauges["wws_requests_active"] = ("Requests in progress.", lambda: level[0])
    assert world.value("wws_requests_active") == 3
    level[0] = 0.0
    assert world.value("wws_requests_active") == 0


def test_users_and_models_cannot_make_series_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SERIES", 10)
    for number in range(200):
        add(world.tally, call(Attempt("main", f"model-{number}", "ok", 0.1), user=User(f"user-{number}")))
    samples = world.samples
    names = {one.labels["model"] for one in samples if one.name == "wws_upstream_requests_total"}
    assert len(names) <= 11
    assert "other" in names
    assert sum(one.value for one in samples if one.name == "wws_upstream_requests_total") == 200
    assert sum(one.value for one in samples if one.name == "wws_upstream_duration_seconds_count") == 200
    assert "user-" not in world.text  # no label holds a caller
    for name in ("wws_tokens_total", "wws_upstream_duration_seconds_count"):
        assert len({one.labels["model"] for one in samples if one.name == name}) <= 11


def test_label_values_are_escaped(world: World) -> None:
    add(world.tally, call(Attempt('ma"in', "a\\b\nc", "ok", 0.1)))
    assert world.value("wws_upstream_requests_total", provider='ma"in', model="a\\b\nc", outcome="ok") == 1


def test_series_are_read_with_their_labels(world: World) -> None:
    levels = {("main", "coder"): 2.0, ("backup", "coder"): 0.0}
    world.metrics.series["wws_breaker_state"] = ("0 closed, 2 open.", ("provider", "model"), lambda: list(levels.items()))
    assert world.value("wws_breaker_state", provider="main", model="coder") == 2
    levels["main", "coder"] = 0.0
    assert world.value("wws_breaker_state", provider="main", model="coder") == 0
    assert world.value("wws_breaker_state", provider="backup", model="coder") == 0
