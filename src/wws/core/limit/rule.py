"""The text of a limit: `"60/min"`, `"5/10s"`, `"60/min burst 10"`, `"60/min approximate"`, `"off"`."""

from __future__ import annotations

import re

from wws.core.limit.window import MAX_LIMIT
from wws.core.policy import Limit

__all__ = ["parse"]

_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
}
_LONGEST = 366 * 86_400

_TEXT = re.compile(r"([0-9]+)\s*/\s*([0-9]*)\s*([a-z]+)(?:\s+burst\s+([0-9]+))?(\s+approximate)?")
_HOW = (
    'write COUNT/PERIOD such as "60/min", "5/10s" or "1000/hour" (s, min, hour, day), with a burst "60/min burst 10", '
    '"60/min approximate", or "off"'
)


def parse(text: str, name: str = "default", endpoint: str = "default") -> Limit | None:
    """The limit that `text` stands for, None for `"off"`. Raises `ValueError` with what is wrong and how it is written."""
    if text.strip() == "off":
        return None
    found = _TEXT.fullmatch(text.strip())
    if found is None or found[3] not in _UNITS:
        raise ValueError(f"{text!r} is not a limit: {_HOW}")
    count = _number(text, "count", found[1])
    period = _number(text, "number of periods", found[2] or "1") * _UNITS[found[3]]
    if period > _LONGEST:
        raise ValueError(f"{text!r}: a period is at most 366 days")
    burst = None if found[4] is None else _number(text, "burst", found[4])
    if burst is not None and found[5]:
        raise ValueError(f"{text!r}: a burst is counted exactly; leave out one of `burst` and `approximate`")
    return Limit(count, float(period), burst, name, endpoint, found[5] is not None)


def _number(text: str, what: str, digits: str) -> int:
    if len(digits) > 10 or not 1 <= int(digits) <= MAX_LIMIT:
        hint = '; to switch a limit off write "off"' if what == "count" and not digits.strip("0") else ""
        raise ValueError(f"{text!r}: the {what} is 1 to {MAX_LIMIT}, not {digits[:20]}{hint}")
    return int(digits)
