"""The budget table: what the design says, and how rows are chosen."""

from __future__ import annotations

import pytest

from bench.shapes import SHAPES, select

_BUDGET = {  # the table of the design: at most, aim
    "chat": (2.0, 1.5),
    "cache": (3.0, 2.0),
    "function": (3.0, 2.0),
    "refuse-401": (2.5, 1.5),
    "refuse-429": (2.5, 1.5),
    "sse": (1.4, 1.1),
    "latency-p50": (0.1, 0.05),
    "latency-p99": (1.0, 0.5),
    "memory": (25.0, 15.0),
    "idle": (70.0, 50.0),
    "start": (0.5, 0.3),
    "prompt-200k": (1.3, 1.1),
}


@pytest.mark.parametrize("name", _BUDGET)
def test_budget_and_aim(name: str) -> None:
    (shape,) = (shape for shape in SHAPES if shape.name == name)
    assert (shape.budget, shape.aim) == _BUDGET[name]


def test_ratios_name_both_sides() -> None:
    for shape in SHAPES:
        assert bool(shape.wws and shape.nginx) == (shape.kind == "ratio")


def test_all_rows_when_none_is_named() -> None:
    assert select([]) == SHAPES


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["chat"], ["chat"]),
        (["refuse"], ["refuse-401", "refuse-429"]),
        (["sse", "latency"], ["sse", "latency-p50", "latency-p99"]),
        (["sse", "sse"], ["sse"]),
    ],
)
def test_rows_by_name_or_its_beginning(names: list[str], chosen: list[str]) -> None:
    assert [shape.name for shape in select(names)] == chosen


def test_a_name_that_fits_nothing() -> None:
    with pytest.raises(ValueError, match="no shape is called speed; there are chat,"):
        select(["speed"])
