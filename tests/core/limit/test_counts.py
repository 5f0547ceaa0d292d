from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wws.core.limit.counts import Counts

NOW = 1_790_000_000.0


def test_counts_each_key_apart() -> None:
    counts = Counts(10)
    assert [counts.take("a", 2, 60.0, 1, NOW).allowed for _ in range(3)] == [True, True, False]
    assert counts.take("b", 2, 60.0, 1, NOW).allowed
    assert counts.take("a", 60, 60.0, 1, NOW, burst=1).allowed, "another algorithm begins anew"


@given(st.lists(st.integers(0, 30), max_size=200))
def test_never_more_than_it_may_hold(keys: list[int]) -> None:
    counts = Counts(8)
    for at, key in enumerate(keys):
        counts.take(str(key), 5, 60.0, 1, NOW + at)
        assert len(counts) <= 8


def test_the_least_recently_used_goes_first() -> None:
    counts = Counts(3)
    for key in "abca":
        counts.take(key, 2, 60.0, 1, NOW)
    counts.take("d", 2, 60.0, 1, NOW)
    assert not counts.take("a", 2, 60.0, 1, NOW).allowed, "used last, kept"
    assert counts.take("b", 2, 60.0, 1, NOW).remaining == 1, "begun anew"


def test_a_refusal_is_a_use_too() -> None:
    """Or a caller that is refused would be the first to be forgotten."""
    counts = Counts(2)
    counts.take("a", 1, 60.0, 1, NOW)
    counts.take("b", 1, 60.0, 1, NOW)
    assert not counts.take("a", 1, 60.0, 1, NOW).allowed
    counts.take("c", 1, 60.0, 1, NOW)
    assert not counts.take("a", 1, 60.0, 1, NOW).allowed


def test_what_may_be_forgotten_goes_before_what_is_needed() -> None:
    counts = Counts(3)
    counts.take("day", 1, 86_400.0, 1, NOW)
    counts.take("second", 1, 1.0, 1, NOW)
    counts.take("hour", 1, 3600.0, 1, NOW)
    counts.take("new", 1, 60.0, 1, NOW + 5)
    assert not counts.take("day", 1, 86_400.0, 1, NOW + 5).allowed
    assert not counts.take("hour", 1, 3600.0, 1, NOW + 5).allowed


def test_giving_back() -> None:
    counts = Counts(3)
    counts.take("a", 1, 60.0, 1, NOW)
    counts.give("a", 1, 60.0, 1, NOW)
    assert counts.take("a", 1, 60.0, 1, NOW).allowed
    counts.take("g", 60, 60.0, 1, NOW, burst=1)
    counts.give("g", 60, 60.0, 1, NOW, burst=1)
    assert counts.take("g", 60, 60.0, 1, NOW, burst=1).allowed
    counts.give("nobody", 1, 60.0, 1, NOW)
    counts.give("g", 60, 60.0, 1, NOW + 100, burst=1)
    assert len(counts) == 2


def test_sweeping() -> None:
    counts = Counts(100)
    for n in range(50):
        counts.take(str(n), 1, 60.0, 1, NOW + n)
    assert counts.sweep(NOW + 61 + 9.5, 5) == 5
    assert counts.sweep(NOW + 61 + 9.5, 100) == 5
    counts.clear()
    assert len(counts) == 0
