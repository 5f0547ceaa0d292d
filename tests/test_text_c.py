"""Lines and records in C: the same as the Python they stand in for."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.test_text import Named, Pair
from tests.hosts.server.built import extension
from wws.core import text

C = extension("_text")
PARTS = st.text() | st.text("abc:,-_ \r\n") | st.integers() | st.integers(-5, 3000) | st.floats() | st.floats(0, 0.05) | st.none()


@given(st.lists(PARTS, max_size=60))
@example([0.0199999, 0.02, 0.000056, 12.3456, 1e300, float("inf"), float("-inf"), float("nan"), -0.0, 5e-324])
@example([2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**30])
@example(["caf\u00e9", "\u20ac", "\U0001f600", 1, 2.5, None])
@example(["a=", Named("x")])
@example([])
@example([""])
def test_a_line_is_the_same(parts: list[Any]) -> None:
    assert C.joined(*parts) == text._joined(*parts)


@pytest.mark.parametrize("part", [b"x", True, [], object()])
@pytest.mark.parametrize("beside", [[], ["\u20ac"], ["x"] * 50])
def test_what_is_no_part_of_a_line(part: object, beside: list[str]) -> None:
    with pytest.raises(TypeError, match="a line is made of str, int, float and None, not"):
        C.joined(*beside, part)


def test_a_record() -> None:
    made = C.record(Pair, [1], "two")
    assert type(made) is Pair
    assert made == Pair([1], "two")
    assert C.record(tuple) == ()
    assert C.record(tuple, 1, 2) == (1, 2)


@pytest.mark.parametrize("wrong", [[], [int, 1], ["x"], [Pair(1, 2)]])
def test_a_record_of_what_is_no_tuple(wrong: list[Any]) -> None:
    with pytest.raises(TypeError):
        C.record(*wrong)


def test_records_are_let_go_of() -> None:
    field = object()
    before = sys.getrefcount(field)
    for _ in range(1000):
        C.record(Pair, field, [field])
        C.joined("a", 1, 0.5, "\u20ac")
    gc.collect()
    assert sys.getrefcount(field) == before
