"""HTTP dates as seconds since 1970 (RFC 9110 section 5.6.7)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import formatdate

__all__ = ["parse", "render"]

_MONTHS = {name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}

_TIME = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
# IMF-fixdate = day-name "," SP date1 SP time-of-day SP GMT
_FIXDATE = re.compile(rb"[A-Za-z]{3}, (?P<day>\d\d) (?P<month>[A-Za-z]{3}) (?P<year>\d{4}) " + _TIME + rb" GMT")
# rfc850-date = day-name-l "," SP date2 SP time-of-day SP GMT, with a year of two digits
_RFC850 = re.compile(rb"[A-Za-z]{6,9}, (?P<day>\d\d)-(?P<month>[A-Za-z]{3})-(?P<year>\d\d) " + _TIME + rb" GMT")
# asctime-date = day-name SP date3 SP time-of-day SP year, the day padded with a space
_ASCTIME = re.compile(rb"[A-Za-z]{3} (?P<month>[A-Za-z]{3}) (?P<day>[ \d]\d) " + _TIME + rb" (?P<year>\d{4})")


def render(time: float) -> bytes:
    """Seconds since 1970 as an IMF-fixdate (RFC 9110 section 5.6.7)."""
    return formatdate(int(time), usegmt=True).encode()


def parse(value: bytes | None, now: float) -> float | None:
    """The moment `value` names, in seconds since 1970, or None when it is absent or no HTTP date.

    `now` decides the century of the obsolete form with two digits.
    """
    if value is None:
        return None
    match = _FIXDATE.fullmatch(value) or _RFC850.fullmatch(value) or _ASCTIME.fullmatch(value)
    if match is None:
        return None
    month = _MONTHS.get(match["month"].lower())
    if month is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        year = _century(year, now)
    # A leap second is a second of the grammar (60); datetime knows none.
    second = 59 if match["second"] == b"60" else int(match["second"])
    try:
        moment = datetime(year, month, int(match["day"]), int(match["hour"]), int(match["minute"]), second, tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp()


def _century(year: int, now: float) -> int:
    # "MUST interpret a timestamp that appears to be more than 50 years in the future as representing the most recent
    # year in the past that had the same last two digits."
    this = datetime.fromtimestamp(now, UTC).year
    full = this - this % 100 + year
    return full - 100 if full > this + 50 else full
