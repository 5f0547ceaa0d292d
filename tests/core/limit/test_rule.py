from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.limit.rule import parse
from wws.core.limit.window import MAX_LIMIT
from wws.core.policy import Limit


@pytest.mark.parametrize(
    ("text", "count", "period", "burst"),
    [
        ("60/min", 60, 60.0, None),
        ("20/s", 20, 1.0, None),
        ("1000/hour", 1000, 3600.0, None),
        ("5/10s", 5, 10.0, None),
        ("100/day", 100, 86_400.0, None),
        ("1/2h", 1, 7200.0, None),
        ("3 / 5 minutes", 3, 300.0, None),
        ("60/min burst 10", 60, 60.0, 10),
        ("  2/sec  burst  40 ", 2, 1.0, 40),
        (f"{MAX_LIMIT}/d", MAX_LIMIT, 86_400.0, None),
    ],
)
def test_limits(text: str, count: int, period: float, burst: int | None) -> None:
    assert parse(text, "chat", "/api/ai/chat") == Limit(count, period, burst, "chat", "/api/ai/chat")


def test_approximate() -> None:
    limit = parse(" 60/min  approximate ")
    assert limit == Limit(60, 60.0, approximate=True)


def test_off() -> None:
    assert parse("off") is None
    assert parse(" off ") is None


def test_names_default_to_default() -> None:
    limit = parse("60/min")
    assert limit is not None and (limit.name, limit.endpoint) == ("default", "default")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", 'is not a limit: write COUNT/PERIOD such as "60/min"'),
        ("60", "is not a limit"),
        ("60/", "is not a limit"),
        ("/min", "is not a limit"),
        ("60/fortnight", "(s, min, hour, day)"),
        ("60/MIN", "is not a limit"),
        ("-1/min", "is not a limit"),
        ("1.5/min", "is not a limit"),
        ("60/min burst", "is not a limit"),
        ("60/min burst 10 20", "is not a limit"),
        ("60/min approximately", "is not a limit"),
        ("60/min approximate burst 10", "is not a limit"),
        ("60/min burst 10 approximate", "a burst is counted exactly"),
        ("\u0666\u0660/min", "is not a limit"),
        ("none", '"off"'),
        ("0/min", 'count is 1 to 4294967295, not 0; to switch a limit off write "off"'),
        ("5/0s", "number of periods is 1 to"),
        ("60/min burst 0", "burst is 1 to"),
        ("4294967296/min", "count is 1 to 4294967295"),
        ("9" * 5000 + "/min", "count is 1 to"),
        ("1/9999d", "at most 366 days"),
    ],
)
def test_errors_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(text)
    assert says in str(error.value)


@given(st.text(max_size=30))
def test_anything_else_is_a_value_error(text: str) -> None:
    try:
        limit = parse(text)
    except ValueError:
        return
    assert limit is None or (limit.count >= 1 and limit.period >= 1)


@given(st.integers(1, MAX_LIMIT), st.integers(1, 300), st.sampled_from(["s", "min", "h", "day"]))
def test_what_is_written_is_read(count: int, number: int, unit: str) -> None:
    limit = parse(f"{count}/{number}{unit}")
    assert limit is not None and limit.count == count
    assert limit.period % number == 0
