"""Waits between tries, and how many tries there may be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wws.core.resilience.backoff import BASE, LONGEST, WINDOW, RetryBudget, delay

JITTER = st.floats(0, 1, exclude_max=True)


@given(st.integers(0, 50), JITTER)
def test_full_jitter_is_anything_up_to_the_doubled_wait(retry: int, jitter: float) -> None:
    assert 0.0 <= delay(retry, jitter) <= min(LONGEST, BASE * 2**retry)


def test_the_waits_double_up_to_the_longest() -> None:
    assert [round(delay(retry, 1.0), 3) for retry in range(7)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


@given(st.integers(0, 50), JITTER, st.floats(0, 300))
def test_what_the_provider_asks_for_is_a_floor(retry: int, jitter: float, asked: float) -> None:
    assert asked <= delay(retry, jitter, asked) <= asked + LONGEST


def test_few_requests_may_be_retried_all_the_same() -> None:
    budget = RetryBudget()
    for _ in range(3):
        budget.request(0.0)
        assert budget.allows(0.0)
    assert not budget.allows(0.0)


def test_a_tenth_of_many_requests_may_be_retried() -> None:
    budget = RetryBudget(0.1, 3)
    for _ in range(200):
        budget.request(1.0)
    assert sum(budget.allows(1.0) for _ in range(100)) == 20


def test_the_share_comes_back_as_the_seconds_pass() -> None:
    budget = RetryBudget(0.1, 3)
    assert [budget.allows(0.0) for _ in range(4)] == [True, True, True, False]
    assert not budget.allows(WINDOW * 1.05)
    assert budget.allows(WINDOW * 1.5)  # half of the three still count
    assert budget.allows(WINDOW * 40)


def test_a_floor_of_none_allows_none() -> None:
    assert not RetryBudget(0.1, 0).allows(0.0)


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=300), st.integers(0, 5))
def test_retries_never_pass_share_and_floor_in_one_span(steps: list[tuple[float, bool]], floor: int) -> None:
    budget, now, end = RetryBudget(0.1, floor), 0.0, 0.0
    requests = retries = 0
    for seconds, retry in steps:
        now += seconds
        if now >= end:
            end, requests, retries = (end + WINDOW if now < end + WINDOW else now + WINDOW), 0, 0
        if retry:
            retries += budget.allows(now)
        else:
            budget.request(now)
            requests += 1
        # of the span before at most its requests count, and its share of them is already more than half of what is compared
        assert retries <= max(floor, 0.1 * 300)
