from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.project.durations import LONGEST, UNITS, duration, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500ms", 0.5),
        ("0s", 0.0),
        ("60s", 60.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("7d", 604_800.0),
        ("1h30m", 5400.0),
        ("1m30s500ms", 90.5),
        ("1.5s", 1.5),
        ("0.1s", 0.1),
        ("3650d", 315_360_000.0),
    ],
)
def test_what_a_duration_is(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    "text",
    ["", " ", "60", "s", "60 s", " 60s", "60s ", "-1s", "+1s", "1e3s", "1S", "60sec", "1h 30m", "30m1h", "1s1s", "1ms1s",
     ".5s", "5.s", "1.5.5s",
     "\u0661s", "1h-", "9999999999999s", "nan", "inf", "1w"],
)  # fmt: skip
def test_what_it_is_not(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


def test_more_than_ten_years_is_a_slip() -> None:
    with pytest.raises(ValueError, match="ten years"):
        seconds("3651d")


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0s"), (0.5, "500ms"), (90.0, "1m30s"), (3600.0, "1h"), (86_461.001, "1d1m1s1ms")]
)
def test_the_shortest_text(value: float, text: str) -> None:
    assert duration(value) == text


def test_there_is_no_negative_duration() -> None:
    with pytest.raises(ValueError, match="negative"):
        duration(-1.0)


@given(st.integers(0, LONGEST))
def test_text_and_value_are_inverse_to_the_millisecond(milliseconds: int) -> None:
    assert seconds(duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.lists(st.integers(0, 999), min_size=len(UNITS), max_size=len(UNITS)))
def test_units_from_the_largest_down_add_up(counts: list[int]) -> None:
    text = "".join([f"{count}{unit}" for count, unit in zip(counts, UNITS, strict=True)])
    total = sum([count * size for count, size in zip(counts, UNITS.values(), strict=True)])
    if total <= LONGEST:
        assert seconds(text) == total / 1000


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        assert 0 <= seconds(text) <= LONGEST / 1000
    except ValueError as error:
        assert str(error)
