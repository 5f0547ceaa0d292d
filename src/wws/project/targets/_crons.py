"""Cron expressions for platforms that count the days of the week from Sunday as 1, where Unix has 0.

Days of the week go there by their names, which mean the same everywhere. What is read in different ways is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wws.project.targets._plain import Edge

__all__ = ["by_name", "crons"]

_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_ITEM: Final = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_STAR: Final = "*"


def crons(edge: Edge) -> dict[str, str]:
    """The project's expressions, and how such a platform writes each; what cannot be written there is refused."""
    found = {}
    for index, one in enumerate(edge.project.crons):
        if len(one.cron.split()) != 5:
            continue  # with seconds: refused already
        try:
            found[one.cron] = by_name(one.cron)
        except ValueError as error:
            edge.refuse(("triggers", "crons", index), f'found "{one.cron}": {error}')
    return found


def by_name(expression: str) -> str:
    """A good expression of five fields, its days of the week by name. Raises `ValueError` for what is not the same there."""
    fields = expression.upper().split()
    for field in fields:
        for item in field.split(","):
            found = _ITEM.fullmatch(item)
            if found is None or re.search(r"\d[LW]|^L", item) or (found[3] and found[1] and not found[2]):
                raise ValueError(
                    f"{item} is read in different ways; allowed there: *, numbers, names, ranges, and steps of * or a range"
                )
    *others, days = fields
    if days == _STAR:
        return " ".join(fields)
    if fields[2] != _STAR:
        raise ValueError("a day of the month and a day of the week; allowed there: one of them, the other is *")
    wanted = {day for item in days.split(",") for day in _days(item)}
    return " ".join([*others, ",".join(name for number, name in enumerate(_DAYS) if number in wanted)])


def _days(item: str) -> list[int]:
    days, _, step = item.partition("/")
    first, _, last = days.partition("-")
    if first == _STAR:
        return list(range(0, 7, int(step or 1)))
    return [day % 7 for day in range(_number(first), _number(last or first) + 1, int(step or 1))]


def _number(text: str) -> int:
    return _DAYS.index(text) if text in _DAYS else int(text)
