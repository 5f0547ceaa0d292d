"""Days of the week by name: the same ticks as before, by the parser that the server uses."""

from __future__ import annotations

import pytest

from wws.project.crons import after
from wws.project.targets._crons import by_name


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("* * * * *", "* * * * *"),
        ("*/5 0-3,5 1 jan *", "*/5 0-3,5 1 JAN *"),
        ("5-59/10 * * * *", "5-59/10 * * * *"),
        ("0 3 * * 0", "0 3 * * SUN"),
        ("0 3 * * 7", "0 3 * * SUN"),
        ("0 3 * * 1-5", "0 3 * * MON,TUE,WED,THU,FRI"),
        ("0 3 * * mon-fri", "0 3 * * MON,TUE,WED,THU,FRI"),
        ("0 3 * * 6,0", "0 3 * * SUN,SAT"),
        ("0 3 * * 5-7", "0 3 * * SUN,FRI,SAT"),
        ("0 3 * * */2", "0 3 * * SUN,TUE,THU,SAT"),
        ("0 3 * * 1-5/2", "0 3 * * MON,WED,FRI"),
    ],
)
def test_the_same_ticks(expression: str, named: str) -> None:
    assert by_name(expression) == named
    before, behind = after(expression, "UTC"), after(named, "UTC")
    at = 1_767_225_600.0
    for _ in range(20):
        assert before(at) == behind(at)
        at = before(at)


@pytest.mark.parametrize(
    "expression", ["0 0 L * *", "0 0 * * 5#3", "0 0 * * 5L", "0 0 15W * *", "5/10 * * * *", "0 0 1 * 1", "0 0 1,15 * */2"]
)
def test_what_is_read_in_different_ways(expression: str) -> None:
    with pytest.raises(ValueError, match="allowed there"):
        by_name(expression)
