from __future__ import annotations

from collections.abc import Callable
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from wws.core.schedule.plan import GRACE, MAX_TOLD, STEP, Due, Missed, Schedule, due, since, wait


def every(period: float) -> Callable[[float], float]:
    """Ticks at the multiples of `period`."""
    return lambda after: (floor(after / period) + 1) * period


MINUTE = every(60.0)


def test_nothing_before_its_time() -> None:
    assert due(600.0, 599.0, MINUTE) == Due(None, None, 600.0)


def test_a_tick_runs_at_its_time_and_a_little_late() -> None:
    assert due(600.0, 600.0, MINUTE) == Due(600.0, None, 660.0)
    assert due(600.0, 640.0, MINUTE) == Due(600.0, None, 660.0)


def test_of_several_the_last_one_runs() -> None:
    assert due(600.0, 790.0, MINUTE) == Due(780.0, Missed(3, 720.0, "late"), 840.0)


def test_what_is_too_late_is_missed() -> None:
    assert due(3600.0, 3600.0 + GRACE + 1, every(3600.0)) == Due(None, Missed(1, 3600.0, "late"), 7200.0)


def test_a_long_silence_is_told_with_a_bound() -> None:
    found = due(60.0, 60.0 * 1e6, MINUTE)
    assert found.missed is not None and found.missed.ticks <= MAX_TOLD
    assert found.next == 60.0 * 1e6 + 60.0


def test_what_passed_while_nobody_was_there() -> None:
    assert since(600.0, 600.0 + 50.0, MINUTE) is None
    assert since(600.0, 905.0, MINUTE) == Missed(4, 840.0, "down")
    assert since(600.0, 1e9, MINUTE) == Missed(MAX_TOLD, 600.0 + 60.0 * MAX_TOLD, "down")


def test_the_clock_is_looked_at_now_and_then() -> None:
    assert wait(100.0, 105.0) == 5.0
    assert wait(100.0, 1e9) == STEP
    assert wait(100.0, 50.0) == 0.0


def test_a_schedule_has_a_name_of_its_own() -> None:
    names = {Schedule(cron, function, zone).name for cron in "ab" for function in "cd" for zone in ("UTC", "Asia/Tokyo")}
    assert len(names) == 8


@given(st.lists(st.floats(0.0, 500.0), max_size=40), st.sampled_from([60.0, 300.0, 3600.0]))
def test_every_tick_is_run_or_told_and_none_twice(sleeps: list[float], period: float) -> None:
    now, after, run, missed = 1000.0, every(period), [], 0
    upcoming = after(now)
    for sleep in sleeps:
        now += sleep
        found = due(upcoming, now, after)
        if found.tick is not None:
            run.append(found.tick)
            assert 0 <= now - found.tick <= GRACE
        missed += found.missed.ticks if found.missed else 0
        upcoming = found.next
        assert upcoming > now
    assert run == sorted(set(run))
    assert len(run) + missed == floor(now / period) - floor(1000.0 / period)
