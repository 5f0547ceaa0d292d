"""Lines and records: what they are, and that the C part makes the same as the Python it stands in for."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.hosts.server.built import extension
from wws.core import text

C = extension("_text")
JOINED = [text._joined, C.joined]
RECORD = [text._record, C.record]
PARTS = st.text() | st.text("abc:,-_ \r\n") | st.integers() | st.integers(-5, 3000) | st.floats() | st.floats(0, 0.05) | st.none()


class Named(str):
    __slots__ = ()


class Pair(NamedTuple):
    first: object
    second: object


@given(st.lists(PARTS, max_size=60))
@example([0.0199999, 0.02, 0.000056, 12.3456, 1e300, float("inf"), float("-inf"), float("nan"), -0.0, 5e-324])
@example([2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**30])
@example(["caf\u00e9", "\u20ac", "\U0001f600", 1, 2.5, None])
@example([])
@example([""])
def test_a_line_is_the_same_in_c(parts: list[Any]) -> None:
    assert C.joined(*parts) == text._joined(*parts)


@pytest.mark.parametrize("joined", JOINED)
def test_a_line(joined: Any) -> None:
    assert joined("a=", 12, ";t=", 0.25, ";n=", None, ";", Named("x")) == "a=12;t=250.00;n=0.00;x"


@pytest.mark.parametrize("joined", JOINED)
@pytest.mark.parametrize("part", [b"x", True, [], object()])
@pytest.mark.parametrize("beside", [[], ["\u20ac"], ["x"] * 50])
def test_what_is_no_part_of_a_line(joined: Any, part: object, beside: list[str]) -> None:
    with pytest.raises(TypeError, match="a line is made of str, int, float and None, not"):
        joined(*beside, part)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(None, "0.00"), (-1.0, "0.00"), (0.000056, "0.05"), (0.0199999, "19.99"), (0.02, "20.00"), (12.3456, "12345.60")],
)
def test_milliseconds(seconds: float | None, written: str) -> None:
    assert text.ms(seconds) == written == C.joined(seconds)


@given(st.floats(min_value=-1.0, max_value=1e5))
def test_durations_are_numbers_with_two_places(seconds: float) -> None:
    written = text.ms(seconds)
    assert re.fullmatch(r"\d+\.\d\d", written)
    assert abs(float(written) - max(0.0, seconds * 1000)) <= 0.0101


@pytest.mark.parametrize("record", RECORD)
def test_a_record(record: Any) -> None:
    made = record(Pair, [1], "two")
    assert type(made) is Pair
    assert made == Pair([1], "two")
    assert record(tuple) == ()
    assert record(tuple, 1, 2) == (1, 2)


@pytest.mark.parametrize("wrong", [[], [int, 1], ["x"], [Pair(1, 2)]])
def test_a_record_of_what_is_no_tuple(wrong: list[Any]) -> None:
    with pytest.raises(TypeError):
        C.record(*wrong)


def test_records_are_let_go_of() -> None:
    import gc
    import sys

    field = object()
    before = sys.getrefcount(field)
    for _ in range(1000):
        C.record(Pair, field, [field])
        C.joined("a", 1, 0.5, "\u20ac")
    gc.collect()
    assert sys.getrefcount(field) == before
