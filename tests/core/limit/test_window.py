"""The sliding window against exact logs of every request, and what it promises whatever the clock does."""

from __future__ import annotations

from fractions import Fraction
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from wws.core.limit import gcra, window
from wws.core.limit.decision import Decision

BASE = 1_790_000_000  # wall seconds, as today's are: their size is what costs precision
PERIODS = st.sampled_from([1, 10, 60, 3600])


class Counted:
    """A state with its parameters: what a store does, without one."""

    def __init__(self, limit: int, period: float) -> None:
        self.limit, self.period = limit, period
        self.state: bytes | None = None
        self.latest = 0.0

    def take(self, now: float, cost: int = 1) -> Decision:
        decision, new = window.take(self.state, now, self.limit, self.period, cost)
        if now >= self.latest:
            assert (new is None) is not decision.allowed, "an admission is stored, a refusal writes nothing"
        self.latest = now
        if new is not None:
            self.state = new
        return decision

    def give(self, now: float, cost: int = 1) -> None:
        new = window.give(self.state, now, self.limit, self.period, cost)
        if new is not None:
            self.state = new

    def at(self, now: float, cost: int = 1) -> Decision:
        """What `take` would say, without taking."""
        return window.take(self.state, now, self.limit, self.period, cost)[0]


def seconds(milliseconds: int) -> float:
    return BASE + milliseconds / 1000


@st.composite
def traffic(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, int]]]:
    """A limit, a period, and requests as (milliseconds since the last, cost), from bursts to lulls longer than the window."""
    period = draw(PERIODS)
    limit = draw(st.integers(1, 12))
    gap = st.one_of(st.just(0), st.integers(0, 50), st.integers(0, period * 40), st.integers(0, period * 2500))
    return limit, period, draw(st.lists(st.tuples(gap, st.integers(1, limit)), min_size=1, max_size=60))


@given(traffic())
@settings(max_examples=300, deadline=None)
def test_against_an_exact_log(case: tuple[int, int, list[tuple[int, int]]]) -> None:
    limit, period, requests = case
    counted = Counted(limit, period)
    log: list[tuple[int, int]] = []  # (milliseconds, cost) of what was admitted
    bucket = Fraction(period * 1000, window.BUCKETS)
    at = 0
    for gap, cost in requests:
        at += gap
        decision = counted.take(seconds(at), cost)
        exact = sum(c for t, c in log if at - t < period * 1000)
        if decision.allowed:
            assert exact + cost <= limit, "more than the limit in one period"
            assert decision.retry_after == 0.0
            log.append((at, cost))
        else:
            # One bucket earlier than the log at most; a millisecond for what a double cannot tell apart.
            early = sum(c for t, c in log if at - t <= period * 1000 + bucket + 1)
            assert early + cost > limit, "refused although the requests of the last period and a bucket left room"
            assert 0 < decision.retry_after <= period + float(bucket) + 1e-6
            assert counted.at(seconds(at) + decision.retry_after, cost).allowed, "waiting exactly that long did not work"
            assert not counted.at(seconds(at) + decision.retry_after - 1e-4, cost).allowed, "a shorter wait would have done"
        assert 0 <= decision.remaining <= limit
        assert decision.reset_after >= decision.retry_after
        assert counted.at(seconds(at) + decision.reset_after + 1e-6, limit).allowed, "not all free after reset_after"


def test_never_admits_what_the_moving_window_of_limits_refuses() -> None:
    """`limits` keeps every request; it is told of those that we admitted and must agree with each of them."""
    item = RateLimitItemPerSecond(7, 10)
    storage = MemoryStorage()
    log = MovingWindowRateLimiter(storage)
    counted = Counted(7, 10.0)
    admitted = 0
    with patch("time.time") as clock:
        now = seconds(0)
        for step in range(2000):
            now += ((step * 7919) % 997) / 400  # 0 to 2.5 s, in no order
            clock.return_value = now
            if counted.take(now).allowed:
                assert log.hit(item, "k")
                admitted += 1
    assert 500 < admitted < 2000


def test_a_burst_admits_exactly_the_limit() -> None:
    counted = Counted(5, 60.0)
    decisions = [counted.take(seconds(300)) for _ in range(100)]
    assert [d.allowed for d in decisions] == [True] * 5 + [False] * 95
    assert [d.remaining for d in decisions[:6]] == [4, 3, 2, 1, 0, 0]


def test_hammering_does_not_move_the_admission() -> None:
    counted = Counted(5, 60.0)
    for _ in range(5):
        counted.take(seconds(0))
    due = [seconds(at) + counted.take(seconds(at)).retry_after for at in range(0, 60_000, 100)]
    assert max(due) - min(due) < 1e-5


def test_constant_traffic_below_the_limit_is_never_refused() -> None:
    counted = Counted(60, 60.0)
    assert all(counted.take(seconds(30_000 * n)).allowed for n in range(120))


def test_traffic_at_the_limit_gets_through_but_for_the_bucket() -> None:
    counted = Counted(60, 60.0)
    admitted = sum(counted.take(seconds(1000 * n)).allowed for n in range(3600))
    assert 3600 * 59 / 60 <= admitted <= 3600


def test_the_last_period_overlaps_one_bucket_more_than_it_has() -> None:
    """Requests at the end of bucket 0 are in the last period of every moment up to the end of bucket 60."""
    counted = Counted(1, 60.0)
    assert BASE % 60 != 0 and counted.take(BASE + 0.999).allowed
    assert not counted.take(BASE + 60.5).allowed
    assert not counted.take(BASE + 60.999).allowed
    assert counted.take(BASE + 61.0).allowed


@given(limit=st.integers(1, 8), steps=st.lists(st.integers(-200_000, 0), max_size=60))
@settings(deadline=None)
def test_a_clock_that_only_steps_back_gives_no_free_burst(limit: int, steps: list[int]) -> None:
    counted = Counted(limit, 60.0)
    at = 0
    admitted = 0
    for step in [*steps, *[0] * limit]:
        at += step
        decision = counted.take(seconds(at))
        admitted += decision.allowed
        assert 0 <= decision.retry_after <= 122.0, "no negative wait, none beyond two periods and their buckets"
    assert admitted == limit


@given(first=st.integers(1, 8), skew=st.integers(0, 59_000))
def test_two_clients_whose_clocks_differ_share_one_limit(first: int, skew: int) -> None:
    counted = Counted(8, 60.0)
    admitted = sum(counted.take(seconds(60_000 - skew * (n % 2))).allowed for n in range(first + 20))
    assert admitted == 8


def test_a_corrected_clock_does_not_lock_a_subject_out() -> None:
    counted = Counted(3, 60.0)
    for _ in range(3):
        counted.take(seconds(86_400_000))
    refused = counted.take(seconds(0))
    assert not refused.allowed and refused.retry_after <= 62.0
    for at in range(0, 60_000, 1000):
        assert not counted.take(seconds(at)).allowed
    assert counted.take(seconds(0) + refused.retry_after).allowed, "asking meanwhile does not move the admission"


def test_a_clock_that_jumps_far_ahead_begins_anew() -> None:
    counted = Counted(3, 60.0)
    counted.take(seconds(0), 3)
    assert counted.take(seconds(10_000_000)).remaining == 2


@pytest.mark.parametrize("cost", [0, -1, 6])
def test_a_cost_that_can_never_be_admitted(cost: int) -> None:
    with pytest.raises(ValueError, match=f"{cost} can never be admitted under a limit of 5"):
        window.take(None, BASE, 5, 60.0, cost)


def test_a_limit_beyond_the_counts() -> None:
    with pytest.raises(ValueError, match="never be admitted"):
        window.take(None, BASE, window.MAX_LIMIT + 1, 60.0)
    assert window.take(None, BASE, window.MAX_LIMIT, 60.0, window.MAX_LIMIT)[0].allowed


def test_the_state_has_one_size_whatever_is_counted() -> None:
    small, large = Counted(65_535, 60.0), Counted(65_536, 60.0)
    for at in range(0, 90_000, 250):
        small.take(seconds(at), 100)
        large.take(seconds(at), 100)
        assert small.state is not None and len(small.state) == 134
        assert large.state is not None and len(large.state) == 256


def test_a_raised_limit_keeps_what_was_counted() -> None:
    _, state = window.take(None, BASE, 100, 60.0, 70)
    decision, state = window.take(state, BASE + 1, 100_000, 60.0, 1)
    assert decision.remaining == 100_000 - 71
    assert window.take(state, BASE + 2, 100, 60.0, 1)[0].remaining == 28


def test_a_lowered_limit_refuses_until_it_is_met() -> None:
    _, state = window.take(None, BASE, 100_000, 60.0, 90_000)
    decision, _ = window.take(state, BASE + 1, 10, 60.0)
    assert decision == Decision(False, 0, 60.0, 60.0)
    assert window.take(state, BASE + 61, 10, 60.0)[0].remaining == 9


def test_what_is_no_window_counts_as_none() -> None:
    _, foreign = gcra.take(None, BASE, 10, 60.0, 10)
    for state in (foreign, b"", b"x" * 100):
        assert window.take(state, BASE, 10, 60.0)[0].remaining == 9
        assert window.give(state, BASE, 10, 60.0) is None


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=30))
@settings(deadline=None)
def test_giving_back_restores_what_was_there(gaps: list[int]) -> None:
    counted = Counted(1000, 60.0)
    at = 0
    for gap in gaps:
        at += gap
        counted.take(seconds(at))
    before = counted.at(seconds(at)).remaining
    taken = counted.take(seconds(at), 5)
    counted.give(seconds(at), 5)
    assert taken.allowed and counted.at(seconds(at)).remaining == before


@given(data=st.data(), limit=st.integers(1, 6))
@settings(deadline=None)
def test_giving_back_never_admits_more_than_the_limit(data: st.DataObject, limit: int) -> None:
    """Requests that were given back do not count; all the others of any one period are within the limit."""
    counted = Counted(limit, 60.0)
    kept: list[int] = []
    at = 0
    for gap, back in data.draw(st.lists(st.tuples(st.sampled_from([0, 0, 500, 7000, 61_500]), st.floats(0, 2)), max_size=40)):
        at += gap
        if counted.take(seconds(at)).allowed:
            kept.append(at)
        elif kept and back < 1:
            taken = kept.pop(int(back * len(kept)))
            counted.give(seconds(taken))
        assert sum(at - t < 60_000 for t in kept) <= limit


def test_what_has_left_the_window_is_not_given_back() -> None:
    counted = Counted(2, 60.0)
    counted.take(seconds(0))
    counted.take(seconds(59_000), 1)
    counted.take(seconds(61_500), 1)
    counted.give(seconds(0))
    assert not counted.take(seconds(61_500)).allowed


def test_giving_back_with_a_clock_that_differs() -> None:
    counted = Counted(5, 60.0)
    counted.take(seconds(10_000), 3)
    counted.give(seconds(9_000))  # the caller's clock is behind: the next newer bucket
    counted.give(seconds(30_000))  # ahead: the nearest older one
    assert counted.at(seconds(10_000)).remaining == 3
    counted.give(seconds(10_000), 100)
    assert counted.at(seconds(10_000), 5).allowed, "never below nothing"
    counted.give(seconds(10_000))
    assert counted.at(seconds(10_000)).remaining == 4


def test_nothing_to_give_back() -> None:
    assert window.give(None, BASE, 5, 60.0) is None


@given(
    limit=st.sampled_from([1, 3, 60, 65_535, 65_536, 10**6]),
    period=PERIODS,
    steps=st.lists(
        st.tuples(st.sampled_from(["take", "take", "take", "give"]), st.floats(-200, 400), st.floats(0, 1)),
        min_size=1,
        max_size=40,
    ),
)
@settings(max_examples=300, deadline=None)
def test_a_window_that_is_kept_is_the_one_that_is_stored_each_time(
    limit: int, period: int, steps: list[tuple[str, float, float]]
) -> None:
    """Whatever the clock does: the same decisions, and the same bytes whenever there is something to store."""
    kept, state, now = window.Window(), None, float(BASE)
    for operation, gap, share in steps:
        now += gap * period / 60
        cost = max(1, int(limit * share))
        kept.changed = False
        if operation == "take":
            decision, new = window.take(state, now, limit, period, cost)
            assert kept.take(now, limit, period, cost) == decision
        else:
            new = window.give(state, now, limit, period, cost)
            kept.give(now, limit, period, cost)
        assert kept.changed is (new is not None)
        if new is not None:
            assert kept.packed() == new
            state = new
