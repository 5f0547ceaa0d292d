"""GCRA against a token bucket in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wws.core.limit import gcra, window

BASE = 1_790_000_000


class Bucket:
    """A token bucket as the textbook has it."""

    def __init__(self, limit: int, period: int, burst: int) -> None:
        self.rate = Fraction(limit, period)
        self.burst = burst
        self.tokens = Fraction(burst)
        self.last = Fraction(0)

    def take(self, now: Fraction, cost: int) -> tuple[bool, int, Fraction]:
        self.tokens = min(Fraction(self.burst), self.tokens + (now - self.last) * self.rate)
        self.last = now
        if self.tokens >= cost:
            self.tokens -= cost
            return True, floor(self.tokens), Fraction(0)
        return False, floor(self.tokens), (cost - self.tokens) / self.rate


# Rates whose interval is a power of two: then doubles are exact and the decisions must be the same, not nearly so.
RATES = st.sampled_from([(64, 64), (128, 64), (16, 64), (4, 1), (256, 1), (1, 4)])


@given(rate=RATES, burst=st.integers(1, 20), data=st.data())
@settings(max_examples=200, deadline=None)
def test_same_decisions_as_a_token_bucket(rate: tuple[int, int], burst: int, data: st.DataObject) -> None:
    limit, period = rate
    bucket = Bucket(limit, period, burst)
    state: bytes | None = None
    ticks = 0
    for _ in range(40):
        ticks += data.draw(st.one_of(st.just(0), st.integers(0, 64), st.integers(0, 4096)))
        cost = data.draw(st.integers(1, burst))
        now = BASE + ticks / 64
        allowed, remaining, wait = bucket.take(Fraction(ticks, 64), cost)
        decision, new = gcra.take(state, now, limit, float(period), burst, cost)
        assert (decision.allowed, decision.remaining) == (allowed, remaining)
        assert decision.retry_after == pytest.approx(float(wait), abs=2e-6)
        assert decision.reset_after == pytest.approx(float((burst - bucket.tokens) / bucket.rate), abs=2e-6)
        if new is None:
            assert gcra.take(state, now + decision.retry_after, limit, float(period), burst, cost)[0].allowed
        else:
            state = new


@pytest.mark.parametrize(("limit", "period"), [(60, 60.0), (100, 60.0), (7, 60.0), (3, 1.0), (1000, 3600.0)])
@pytest.mark.parametrize("burst", [1, 10, 999])
def test_a_burst_at_one_instant_admits_exactly_the_burst(limit: int, period: float, burst: int) -> None:
    """Also where the interval is no number a double can hold, such as 0.6 s."""
    state: bytes | None = None
    admitted = 0
    for _ in range(burst + 50):
        decision, new = gcra.take(state, BASE + 0.123, limit, period, burst)
        state = new or state
        admitted += decision.allowed
    assert admitted == burst
    assert gcra.take(state, BASE + 0.123 + decision.retry_after, limit, period, burst)[0].allowed


def test_hammering_does_not_move_the_admission() -> None:
    _, state = gcra.take(None, BASE, 60, 60.0, 10, 10)
    for at in range(900):
        decision, new = gcra.take(state, BASE + at / 1000, 60, 60.0, 10)
        assert new is None
        assert at / 1000 + decision.retry_after == pytest.approx(1.0, abs=1e-5)


def test_constant_traffic_below_the_limit_is_never_refused() -> None:
    state: bytes | None = None
    for n in range(120):
        decision, state = gcra.take(state, BASE + 30.0 * n, 60, 60.0, 1)
        assert decision.allowed


@given(st.lists(st.integers(-200, 0), max_size=40))
def test_a_clock_that_only_steps_back_gives_no_free_burst(steps: list[int]) -> None:
    state: bytes | None = None
    now, admitted = float(BASE), 0
    for step in [*steps, *[0] * 5]:
        now += step
        decision, new = gcra.take(state, now, 60, 60.0, 5)
        state = new or state
        admitted += decision.allowed
        assert 0 <= decision.retry_after <= 60.0 + 5.0 + 1.0
        assert 0 <= decision.remaining <= 5
    assert 1 <= admitted <= 5


def test_a_corrected_clock_does_not_lock_a_subject_out() -> None:
    _, state = gcra.take(None, BASE + 86_400, 60, 60.0, 5, 5)
    decision, state = gcra.take(state, BASE, 60, 60.0, 5)
    assert not decision.allowed and decision.retry_after <= 1.0
    for at in (0.25, 0.5, 0.75):
        later, new = gcra.take(state, BASE + at, 60, 60.0, 5)
        assert not later.allowed and new is None, "asking again does not move the admission"
    assert gcra.take(state, BASE + decision.retry_after, 60, 60.0, 5)[0].allowed


def test_giving_back() -> None:
    _, state = gcra.take(None, BASE, 60, 60.0, 5, 5)
    state = gcra.give(state, BASE, 60, 60.0, 5, 2)
    decision, state = gcra.take(state, BASE, 60, 60.0, 5)
    assert decision.remaining == 1
    state = gcra.give(state, BASE, 60, 60.0, 5, 100)
    assert gcra.take(state, BASE, 60, 60.0, 5, 5)[0].allowed
    assert not gcra.take(state, BASE, 60, 60.0, 5, 5)[0].remaining, "never more than the burst"


def test_nothing_to_give_back() -> None:
    _, state = gcra.take(None, BASE, 60, 60.0, 5)
    assert gcra.give(None, BASE, 60, 60.0, 5) is None
    assert gcra.give(state, BASE + 100, 60, 60.0, 5) is None


@pytest.mark.parametrize("cost", [0, 6])
def test_a_cost_that_can_never_be_admitted(cost: int) -> None:
    with pytest.raises(ValueError, match=f"{cost} can never be admitted under a burst of 5"):
        gcra.take(None, BASE, 60, 60.0, 5, cost)


def test_what_is_not_gcras_counts_as_none() -> None:
    _, foreign = window.take(None, BASE, 60, 60.0, 60)
    assert gcra.take(foreign, BASE, 60, 60.0, 5, 5)[0].allowed
