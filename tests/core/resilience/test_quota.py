"""x-synthetic-quotas: whole, in parts, and in nonsense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.resilience.quota import Quota, Window, parse, wait
from wws.core.resilience.wait import COOLDOWN_MAX

NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z
WHOLE: dict[str, Any] = {
    "subscription": {"limit": 500, "requests": 120, "renewsAt": "2026-09-21T19:00:00.000Z"},
    "rollingFiveHourLimit": {
        "max": 500, "remaining": 380, "limited": False, "tickPercent": 0.05, "nextTickAt": "2026-09-21T14:14:20Z",
    },
    "weeklyTokenLimit": {
        "percentRemaining": 50, "remainingCredits": "$12.00", "maxCredits": "$24.00",
        "nextRegenAt": "2026-09-21T16:00:00Z", "nextRegenCredits": "$0.48",
    },
    "search": {"hourly": {"limit": 250, "requests": 0}},
    "freeToolCalls": {"limit": 500, "requests": 3},
}  # fmt: skip


def quota(**parts: Any) -> Quota:
    found = parse(json.dumps({**WHOLE, **parts}).encode())
    assert found is not None
    return found


def test_a_whole_header() -> None:
    assert quota() == Quota(
        five_hours=Window(380.0, 500.0, NOW + 60, False),
        week=Window(12.0, 24.0, NOW + 6400),
        subscription=Window(380.0, 500.0, NOW + 17200),
    )
    assert wait(quota(), NOW) is None


@pytest.mark.parametrize("missing", ["subscription", "rollingFiveHourLimit", "weeklyTokenLimit"])
def test_any_part_may_be_missing(missing: str) -> None:
    found = parse(json.dumps({k: v for k, v in WHOLE.items() if k != missing}).encode())
    assert found is not None
    assert wait(found, NOW) is None
    assert list(found).count(None) == 1


@pytest.mark.parametrize(
    ("five_hours", "seconds"),
    [
        ({"limited": True, "remaining": 3, "nextTickAt": "2026-09-21T14:14:20Z"}, 60.0),
        ({"remaining": 0, "nextTickAt": "2026-09-21T14:14:20Z"}, 60.0),
        ({"remaining": 0, "nextTickAt": (NOW + 45) * 1000}, 45.0),  # milliseconds
        ({"remaining": 0, "nextTickAt": NOW + 45}, 45.0),
        ({"remaining": 0, "nextTickAt": "2026-09-21T14:14:20"}, 60.0),  # no zone: UTC
        ({"remaining": 0, "nextTickAt": "2026-09-21T10:00:00Z"}, 0.0),  # past: ask again now
        ({"remaining": 0}, COOLDOWN_MAX),
        ({"remaining": 0, "nextTickAt": "tomorrow"}, COOLDOWN_MAX),
        ({"remaining": 0, "nextTickAt": "2026-09-29T14:14:20Z"}, COOLDOWN_MAX),
        ({"remaining": 1}, None),
        ({}, None),
        (None, None),
        ("full", None),
    ],
)
def test_waiting_for_the_five_hours(five_hours: Any, seconds: float | None) -> None:
    assert wait(quota(rollingFiveHourLimit=five_hours), NOW) == seconds


@pytest.mark.parametrize(
    "week", [{"remainingCredits": "$0.00"}, {"percentRemaining": 0}, {"remainingCredits": "-$0.10", "percentRemaining": 0}]
)
def test_waiting_for_the_week(week: dict[str, Any]) -> None:
    assert wait(quota(weeklyTokenLimit={**week, "nextRegenAt": "2026-09-21T14:15:00Z"}), NOW) == 100.0


def test_the_longest_of_several_waits_counts() -> None:
    used = {"remaining": 0, "nextTickAt": NOW + 10}
    assert wait(quota(rollingFiveHourLimit=used, weeklyTokenLimit={"percentRemaining": 0, "nextRegenAt": NOW + 90}), NOW) == 90.0


@pytest.mark.parametrize("header", [b"", b"{", b"[]", b"3", b"null", b"\xff", b"{" + b" " * 9000 + b"}"])
def test_what_is_no_quota(header: bytes) -> None:
    assert parse(header) is None


def test_an_empty_object_is_unknown_not_used_up() -> None:
    assert parse(b"{}") == Quota()
    assert wait(Quota(), NOW) is None


values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(["$1,000.50", "2026-09-21"])
)
parts = st.dictionaries(
    st.sampled_from(
        ["limit", "requests", "max", "remaining", "limited", "nextTickAt", "percentRemaining", "remainingCredits", "nextRegenAt"]
    ),
    values,
)


@given(st.dictionaries(st.sampled_from(["subscription", "rollingFiveHourLimit", "weeklyTokenLimit"]), parts | values))
def test_no_header_raises_and_every_wait_is_bounded(fields: dict[str, Any]) -> None:
    found = parse(json.dumps(fields).encode())
    if found is not None:
        seconds = wait(found, NOW)
        assert seconds is None or 0 <= seconds <= COOLDOWN_MAX
