"""The breaker: when it opens, who may probe, when it closes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wws.core.resilience.breaker import CAUSES, CLOSED, CONSECUTIVE, HALF_OPEN, LEAST, OPEN, PROBE_MOST, Breaker
from wws.core.resilience.wait import COOLDOWN_MAX
from wws.errors import TABLE

OUTAGES = [name for name, cause in CAUSES.items() if not cause.at_once]
ACCOUNT = ["provider_quota", "provider_billing", "provider_auth_failed"]


def opened(error_type: str = "provider_server_error", now: float = 100.0, retry_after: float | None = None) -> Breaker:
    breaker = Breaker()
    while breaker.state == CLOSED:
        breaker.failed(now, error_type, retry_after)
    return breaker


def test_every_cause_is_a_fault_of_the_provider() -> None:
    known = {row.error_type for row in TABLE.values() if row.error_type.startswith("provider_")}
    assert set(CAUSES) == known


def test_closed_lets_everybody_pass() -> None:
    breaker = Breaker()
    assert all(breaker.allows(now) for now in (0.0, 5.0, 1e9))


@pytest.mark.parametrize("error_type", OUTAGES)
def test_five_failures_in_a_row_open_it(error_type: str) -> None:
    breaker = Breaker()
    told = [breaker.failed(1.0, error_type) for _ in range(CONSECUTIVE)]
    assert told == [False, False, False, False, True]
    assert (breaker.state, breaker.cause) == (OPEN, error_type)
    assert not breaker.allows(30.9)
    assert breaker.allows(31.0)


def test_a_success_between_begins_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(4):
        for _ in range(CONSECUTIVE - 1):
            breaker.failed(1.0, "provider_server_error")
        breaker.succeeded(1.0)
        for _ in range(5):
            breaker.succeeded(1.0)
    assert breaker.state == CLOSED


def test_half_of_twenty_open_it_though_none_follow_one_another() -> None:
    breaker = Breaker()
    for number in range(LEAST):
        now = 1.0 + number * 0.1
        if number % 2:
            breaker.failed(now, "provider_timeout")
        else:
            breaker.succeeded(now)
    assert breaker.state == OPEN


def test_a_third_does_not() -> None:
    breaker = Breaker()
    for number in range(300):
        now = 1.0 + number * 0.1
        if number % 3:
            breaker.succeeded(now)
        else:
            breaker.failed(now, "provider_timeout")
    assert breaker.state == CLOSED


def test_what_was_long_ago_does_not_count() -> None:
    breaker = Breaker()
    for _ in range(3):
        breaker.succeeded(1.0)
    for number in range(40):  # one failure and one success in each 20 seconds
        breaker.failed(number * 20.0, "provider_timeout")
        breaker.succeeded(number * 20.0 + 10.0)
    assert breaker.state == CLOSED


@pytest.mark.parametrize("error_type", ["caller_invalid_request", "caller_cancelled", "policy_rate_limited", "wws_internal"])
def test_a_caller_s_mistake_is_not_the_provider_s_fault(error_type: str) -> None:
    breaker = Breaker()
    for _ in range(100):
        assert not breaker.failed(1.0, error_type)
    assert breaker.state == CLOSED


# half-open


def test_one_probe_at_a_time() -> None:
    breaker = opened()
    assert breaker.allows(130.0)
    assert breaker.state == HALF_OPEN
    assert not any(breaker.allows(130.0 + seconds) for seconds in (0.0, 1.0, 20.0))


def test_a_good_probe_closes_it() -> None:
    breaker = opened()
    assert breaker.allows(130.0)
    assert breaker.succeeded(131.0)
    assert breaker.state == CLOSED
    assert not breaker.succeeded(131.0)
    # and all is forgotten: it takes as many failures as before to open again
    for _ in range(CONSECUTIVE - 1):
        assert not breaker.failed(132.0, "provider_server_error")


def test_an_answer_that_was_under_way_closes_an_outage() -> None:
    breaker = opened(now=100.0)
    assert breaker.succeeded(101.0)
    assert breaker.state == CLOSED


def test_an_answer_that_was_under_way_does_not_cut_the_wait_that_was_asked_for() -> None:
    breaker = opened("provider_rate_limited", 100.0, 5.0)
    assert not breaker.succeeded(101.0)
    assert not breaker.allows(104.0)
    assert breaker.allows(105.5)


def test_a_bad_probe_opens_it_again() -> None:
    breaker = opened()
    assert breaker.allows(130.0)
    assert not breaker.failed(131.0, "provider_server_error")
    assert breaker.state == OPEN
    assert not breaker.allows(160.9)
    assert breaker.allows(161.0)


def test_a_probe_whose_caller_left_makes_way_for_another() -> None:
    breaker = opened()
    assert breaker.allows(130.0)
    breaker.released(131.0)
    assert breaker.state == OPEN
    assert breaker.allows(131.0)


def test_a_probe_of_a_caller_s_mistake_makes_way_too() -> None:
    breaker = opened()
    assert breaker.allows(130.0)
    breaker.failed(131.0, "caller_context_length")
    assert breaker.allows(131.0)


def test_a_probe_that_is_lost_does_not_block_for_ever() -> None:
    breaker = opened()
    assert breaker.allows(130.0)
    assert not breaker.allows(130.0 + PROBE_MOST - 1)
    assert breaker.allows(130.0 + PROBE_MOST)


@pytest.mark.parametrize("error_type", OUTAGES)
def test_probes_of_an_outage_are_never_more_than_half_a_minute_apart(error_type: str) -> None:
    """Doubling would miss the end of an outage of a minute by another half."""
    breaker, now = opened(error_type, 0.0), 0.0
    for _ in range(20):
        assert breaker.until - now <= 30.0
        now = breaker.until
        assert breaker.allows(now)
        breaker.failed(now, error_type)


@pytest.mark.parametrize("error_type", ACCOUNT)
def test_probes_of_an_account_s_trouble_grow_apart(error_type: str) -> None:
    breaker, now = Breaker(), 0.0
    assert breaker.failed(now, error_type, None, 1.0)  # at once: nothing is better the second time
    waits = []
    for _ in range(6):
        waits.append(breaker.until - now)
        now = breaker.until
        assert breaker.allows(now)
        breaker.failed(now, error_type, None, 1.0)
    assert waits == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]


def test_growth_begins_anew_with_another_cause() -> None:
    breaker = Breaker()
    breaker.failed(0.0, "provider_quota", None, 1.0)
    assert breaker.allows(30.0)
    breaker.failed(30.0, "provider_quota", None, 1.0)
    assert breaker.allows(90.0)
    breaker.failed(90.0, "provider_server_error")
    assert breaker.until == 120.0


@given(st.floats(0, 1))
def test_rate_limits_without_a_hint_are_short_and_spread(jitter: float) -> None:
    breaker = Breaker()
    assert breaker.failed(0.0, "provider_rate_limited", None, jitter)
    assert 0.75 <= breaker.until <= 1.0


def test_at_most_four_calls_in_three_seconds_of_rate_limits() -> None:
    breaker, now, calls = Breaker(), 0.0, 0
    while now < 3.0:
        if breaker.allows(now):
            calls += 1
            breaker.failed(now, "provider_rate_limited", None, 0.0)
        now += 0.01
    assert 2 <= calls <= 4


# what the provider asks for


@given(st.sampled_from(sorted(CAUSES)), st.floats(0.1, COOLDOWN_MAX), st.floats(0, 1))
def test_retry_after_is_a_floor_at_once(error_type: str, asked: float, jitter: float) -> None:
    breaker = Breaker()
    assert breaker.failed(0.0, error_type, asked, jitter)
    assert breaker.until >= asked
    for forced in (False, True):
        assert not breaker.allows(asked * 0.99, forced=forced)


@given(st.sampled_from(sorted(CAUSES)), st.floats(0, 1e9), st.floats(0, 1))
def test_no_hint_freezes_a_route(error_type: str, asked: float, jitter: float) -> None:
    breaker = Breaker()
    breaker.failed(0.0, error_type, asked, jitter)
    assert breaker.allows(COOLDOWN_MAX)


def test_a_hint_that_comes_late_counts() -> None:
    breaker = opened("provider_server_error", 0.0)
    breaker.failed(1.0, "provider_rate_limited", 120.0)
    assert not breaker.allows(30.0)
    assert not breaker.allows(30.0, forced=True)
    assert breaker.allows(121.0)


def test_a_known_end_shuts_it_until_then() -> None:
    breaker = Breaker()
    assert breaker.shut(50.0, "provider_quota")
    assert not breaker.shut(40.0, "provider_quota")  # the later one stands
    assert not breaker.allows(49.0, forced=True)
    assert breaker.allows(50.0)
    breaker.succeeded(51.0)
    assert breaker.state == CLOSED


# when nothing else is left


@pytest.mark.parametrize("error_type", OUTAGES)
def test_one_may_be_forced_through_an_outage(error_type: str) -> None:
    breaker = opened(error_type, 100.0)
    assert not breaker.allows(101.0)
    assert breaker.allows(101.0, forced=True)
    assert not breaker.allows(101.0, forced=True)  # one
    breaker.failed(102.0, error_type)
    assert breaker.allows(102.0, forced=True)


@pytest.mark.parametrize("error_type", [*ACCOUNT, "provider_rate_limited"])
def test_an_answer_of_the_provider_stands(error_type: str) -> None:
    breaker = opened(error_type, 100.0)
    assert not breaker.allows(100.5, forced=True)


class Any(RuleBasedStateMachine):
    """Whatever happens, it can always be got out of again, and there is one probe at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now = 0.0
        self.probes = 0

    @rule(seconds=st.floats(0, 50), forced=st.booleans())
    def ask(self, seconds: float, forced: bool) -> None:
        self.now += seconds
        closed = self.breaker.state == CLOSED
        since = self.now
        if self.breaker.allows(self.now, forced=forced) and not closed:
            assert self.breaker.state == HALF_OPEN
            assert not self.breaker.allows(since, forced=forced)

    @rule()
    def succeed(self) -> None:
        held = self.breaker.state == OPEN and self.now < self.breaker.floor
        self.breaker.succeeded(self.now)
        assert self.breaker.state == (OPEN if held else CLOSED)

    @rule(error_type=st.sampled_from(sorted(CAUSES)), asked=st.none() | st.floats(0, 1e4), jitter=st.floats(0, 1))
    def fail(self, error_type: str, asked: float | None, jitter: float) -> None:
        self.breaker.failed(self.now, error_type, None if asked is None else min(asked, COOLDOWN_MAX), jitter)

    @rule()
    def release(self) -> None:
        self.breaker.released(self.now)

    @invariant()
    def never_shut_for_good(self) -> None:
        assert self.breaker.until <= self.now + COOLDOWN_MAX + PROBE_MOST
        assert self.breaker.state in (CLOSED, HALF_OPEN, OPEN)
        assert (self.breaker.cause is None) == (self.breaker.state == CLOSED)


TestAny = Any.TestCase
