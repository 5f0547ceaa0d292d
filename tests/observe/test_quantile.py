from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from wws.observe.quantile import Counts, bucket, merged, percentile

TIMES = st.lists(st.floats(1e-6, 600), min_size=1, max_size=200)


def counted(times: list[float]) -> Counts:
    return merged([{bucket(one): 1} for one in times])


@given(TIMES, st.floats(0.01, 1))
def test_never_too_low_and_at_most_a_tenth_too_high(times: list[float], share: float) -> None:
    exact = sorted(times)[max(1, ceil(len(times) * share)) - 1]
    told = percentile(counted(times), share)
    assert told is not None
    assert exact * 0.999999 <= told <= exact * 1.0906


@given(TIMES, TIMES)
def test_counts_add_up(one: list[float], two: list[float]) -> None:
    assert merged([counted(one), counted(two)]) == counted(one + two)


def test_nothing_counted() -> None:
    assert percentile({}, 0.5) is None
    assert bucket(0.0) == bucket(-1.0) == 0
