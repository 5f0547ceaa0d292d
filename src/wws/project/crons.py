"""Cron expressions: five fields as Debian's cron reads them, or six with the seconds first, in UTC or a time zone by name.

A tick whose hour does not exist on the day summer time begins runs right after the gap. On the day it ends, a tick at a fixed
hour runs once, and one that repeats (`*/30 * * * *`) goes on through both hours, as in Debian's cron (man 8 cron).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["ALLOWED", "Cron", "after", "crons"]

ALLOWED = '"*/5 * * * *" or {cron = "0 3 * * *", function = "jobs/cleanup", timezone = "Europe/Berlin"}'
_KEYS = {"cron": True, "function": False, "timezone": False}
"""Keys of a table, and whether they must be there."""


class Cron(NamedTuple):
    """One of `[triggers] crons`. `function` None: every function that has a `scheduled` handler."""

    cron: str
    function: str | None = None
    timezone: str | None = None


def after(cron: str, timezone: str) -> Callable[[float], float]:
    """The function that gives the first tick later than a time, infinity where there is none; wall seconds since 1970.

    Raises `ValueError` for what is no expression or no time zone.
    """
    from datetime import UTC, datetime  # a project without crons needs none of these
    from zoneinfo import ZoneInfo

    from cronsim import CronSim, CronSimError

    if len(cron.split()) not in (5, 6):
        raise ValueError(f'"{cron}" has not five fields: minute, hour, day of month, month, day of week')
    try:
        zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
    except (KeyError, OSError, ValueError):  # zoneinfo's error for an unknown name is a KeyError
        raise ValueError(f'there is no time zone "{timezone}": write a name such as "Europe/Berlin"') from None
    try:
        CronSim(cron.upper(), datetime(2000, 1, 1, tzinfo=zone))
    except CronSimError as error:
        raise ValueError(f'"{cron}" is no cron expression: {str(error).lower()}') from None

    def following(seconds: float) -> float:
        try:
            return float(next(CronSim(cron.upper(), datetime.fromtimestamp(seconds, zone))).timestamp())
        except (StopIteration, OverflowError):  # the 30th of February
            return float("inf")

    return following


def crons(value: object) -> tuple[Cron, ...]:
    """The list of a file, read. Raises `ValueError` for the first that is not allowed."""
    if not isinstance(value, list):
        raise ValueError("not a list")
    found = tuple([_cron(element) for element in value])
    if len(set(found)) < len(found):
        raise ValueError("something stands in the list twice")
    return found


def _cron(value: Any) -> Cron:
    table = {"cron": value} if isinstance(value, str) else value
    if not isinstance(table, dict):
        raise ValueError(f"{value!r} is neither a cron expression nor a table")
    for name, text in table.items():
        if name not in _KEYS:
            raise ValueError(f'unknown key "{name}", there are {", ".join(_KEYS)}')
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name} is no text")
    for name, required in _KEYS.items():
        if required and name not in table:
            raise ValueError(f"{name} is missing")
    row = Cron(" ".join(table["cron"].split()), table.get("function"), table.get("timezone"))
    if after(row.cron, row.timezone or "UTC")(946_684_800.0) == float("inf"):
        raise ValueError(f'"{row.cron}" never comes')
    return row
