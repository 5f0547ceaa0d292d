"""Lines and records."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core import text


class Named(str):
    __slots__ = ()


class Pair(NamedTuple):
    first: object
    second: object


def test_a_line() -> None:
    assert text._joined("a=", 12, ";t=", 0.25, ";n=", None, ";", Named("x")) == "a=12;t=250.00;n=0.00;x"


@pytest.mark.parametrize("part", [b"x", True, [], object()])
def test_what_is_no_part_of_a_line(part: object) -> None:
    with pytest.raises(TypeError, match="a line is made of str, int, float and None, not"):
        text._joined("x", part)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(None, "0.00"), (-1.0, "0.00"), (0.000056, "0.05"), (0.0199999, "19.99"), (0.02, "20.00"), (12.3456, "12345.60")],
)
def test_milliseconds(seconds: float | None, written: str) -> None:
    assert text.ms(seconds) == written


@given(st.floats(min_value=-1.0, max_value=1e5))
def test_durations_are_numbers_with_two_places(seconds: float) -> None:
    written = text.ms(seconds)
    assert re.fullmatch(r"\d+\.\d\d", written)
    assert abs(float(written) - max(0.0, seconds * 1000)) <= 0.0101


def test_a_record() -> None:
    made = text._record(Pair, [1], "two")
    assert type(made) is Pair
    assert made == Pair([1], "two")
    assert text._record(tuple, 1, 2) == (1, 2)
