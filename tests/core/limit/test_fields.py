from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.limit.structured import parse_list
from wws.core.limit.decision import Decision
from wws.core.limit.fields import LimitFields, duration, retry_after
from wws.core.policy import DEFAULT_LIMITS, Limit


def fields(limit: Limit, decision: Decision) -> dict[str, str]:
    """The rendered lines, taken apart as a recipient would."""
    text = LimitFields(limit).render(decision)
    assert text.endswith("\r\n")
    lines = text.removesuffix("\r\n").split("\r\n")
    pairs = dict(line.split(": ", 1) for line in lines)
    assert len(pairs) == len(lines)
    return pairs


def test_an_admitted_request() -> None:
    assert fields(DEFAULT_LIMITS["/api/ai/chat"], Decision(True, 12, 0.0, 30.2)) == {
        "ratelimit-policy": '"chat";q=60;w=60',
        "ratelimit": '"chat";r=12;t=31',
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "12",
        "x-ratelimit-reset-requests": "31s",
    }


def test_a_refused_request_counts_to_its_retry() -> None:
    pairs = fields(Limit(1000, 3600.0), Decision(False, 0, 59.2, 3601.0))
    assert pairs["ratelimit"] == '"default";r=0;t=60'
    assert pairs["ratelimit-policy"] == '"default";q=1000;w=3600'
    assert pairs["x-ratelimit-reset-requests"] == "1h0m1s"


@given(
    name=st.text(max_size=20),
    count=st.integers(1, 2**32 - 1),
    period=st.integers(1, 366 * 86_400),
    left=st.floats(0, 1),
    reset=st.floats(0, 366 * 86_400),
    wait=st.one_of(st.none(), st.floats(1e-6, 86_400)),
)
def test_structured_fields_round_trip(name: str, count: int, period: int, left: float, reset: float, wait: float | None) -> None:
    remaining = int(count * left)
    reset = max(reset, wait or 0.0)
    pairs = fields(Limit(count, float(period), name=name), Decision(wait is None, remaining, wait or 0.0, reset))
    [(policy, fixed)] = parse_list(pairs["ratelimit-policy"])
    [(again, now)] = parse_list(pairs["ratelimit"])
    assert isinstance(policy, str) and unquote(policy) == name
    assert again == policy
    assert fixed == {"q": count, "w": period}
    assert set(now) == {"r", "t"} and now["r"] == remaining
    assert isinstance(now["t"], int) and now["t"] >= (reset if wait is None else wait)
    if wait is not None:
        assert retry_after(wait) >= now["t"], "Retry-After is not earlier than t"
    assert pairs["x-ratelimit-limit-requests"] == str(count)
    assert pairs["x-ratelimit-remaining-requests"] == str(remaining)
    assert as_seconds(pairs["x-ratelimit-reset-requests"]) >= reset - 1e-9


def as_seconds(text: str) -> float:
    """The duration as a client of OpenAI's reads it."""
    found = re.fullmatch(r"(?:(?:(\d+)h)?(\d+)m)?(\d+)s|(\d+)ms", text)
    assert found is not None, text
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"), (0.0121, "13ms"), (0.999, "999ms"), (0.9991, "1s"), (1.0, "1s"), (1.001, "2s"), (12.0, "12s"),
        (59.5, "1m0s"), (360.0, "6m0s"), (3599.1, "1h0m0s"), (86_400.0, "24h0m0s"), (-3.0, "0s"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 200))
def test_the_short_durations_are_the_long_ones(seconds: float) -> None:
    pairs = fields(Limit(1, 60.0), Decision(True, 0, 0.0, seconds))
    assert pairs["x-ratelimit-reset-requests"] == duration(seconds)


@pytest.mark.parametrize(("seconds", "value"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (60.9, 61)])
def test_retry_after_is_whole_and_never_short(seconds: float, value: int) -> None:
    assert retry_after(seconds) == value


def test_a_name_cannot_break_out_of_its_line() -> None:
    pairs = fields(Limit(1, 60.0, name='a"\\\r\nset-cookie: x=1\r\n'), Decision(True, 0, 0.0, 1.0))
    assert set(pairs) == {
        "ratelimit-policy",
        "ratelimit",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    }


@pytest.mark.parametrize("text", ["", '"a', '"a";q', '"a";Q=1', '"a";q=x', '"a"b', '"\u00e9"'])
def test_the_parser_is_strict(text: str) -> None:
    with pytest.raises(ValueError):
        parse_list(text)
