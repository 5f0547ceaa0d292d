from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from wws.project.crons import Cron, after, crons

BERLIN = ZoneInfo("Europe/Berlin")


def ticks(cron: str, zone: str, start: datetime, count: int) -> list[str]:
    following, at, found = after(cron, zone), start.timestamp(), []
    for _ in range(count):
        at = following(at)
        found.append(datetime.fromtimestamp(at, ZoneInfo(zone)).isoformat())
    return found


def test_ticks_in_utc() -> None:
    assert ticks("*/5 * * * *", "UTC", datetime(2026, 11, 22, 23, 51, tzinfo=UTC), 3) == [
        "2026-11-22T23:55:00+00:00",
        "2026-11-23T00:00:00+00:00",
        "2026-11-23T00:05:00+00:00",
    ]
    assert ticks("0 12 * * mon-fri", "UTC", datetime(2026, 11, 20, 12, tzinfo=UTC), 1) == ["2026-11-23T12:00:00+00:00"]


def test_a_tick_is_later_than_the_time_given() -> None:
    assert after("* * * * *", "UTC")(600.0) == 660.0
    assert after("* * * * *", "UTC")(600.5) == 660.0
    assert after("*/10 * * * * *", "UTC")(600.5) == 610.0, "six fields begin with the seconds"


def test_an_hour_that_is_left_out_in_spring() -> None:
    assert ticks("30 2 * * *", "Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=BERLIN), 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_an_hour_that_comes_twice_in_autumn() -> None:
    begin = datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    assert ticks("30 2 * * *", "Europe/Berlin", begin, 2) == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    through = ticks("*/30 * * * *", "Europe/Berlin", datetime(2026, 10, 25, 1, 45, tzinfo=BERLIN), 5)
    assert [one[11:] for one in through] == [
        "02:00:00+02:00",
        "02:30:00+02:00",
        "02:00:00+01:00",
        "02:30:00+01:00",
        "03:00:00+01:00",
    ]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("* * * * *", "not a list"),
        (["* * *"], '"* * *" has not five fields'),
        (["61 * * * *"], '"61 * * * *" is no cron expression: bad minute'),
        (["0 0 30 2 *"], '"0 0 30 2 *" is no cron expression'),
        (["0 0 * * mon#6"], "is no cron expression"),
        ([{"function": "x"}], "cron is missing"),
        ([{"cron": "* * * * *", "at": "x"}], 'unknown key "at"'),
        ([{"cron": "* * * * *", "function": 5}], "function is no text"),
        ([{"cron": "* * * * *", "timezone": "Mars/Olympus"}], 'there is no time zone "Mars/Olympus"'),
        ([7], "7 is neither"),
        (["* * * * *", "*  * * * *"], "twice"),
    ],
)
def test_what_is_not_allowed(value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("*", r"\*")):
        crons(value)


def test_what_is_read() -> None:
    rows = crons(["0  3 * * *", {"cron": "* * * * *", "function": "jobs/tidy", "timezone": "Asia/Tokyo"}])
    assert rows == (Cron("0 3 * * *"), Cron("* * * * *", "jobs/tidy", "Asia/Tokyo"))
