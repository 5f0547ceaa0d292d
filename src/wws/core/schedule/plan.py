"""Which ticks of a schedule to run at a wake-up, and which were missed. Times are wall seconds since 1970.

A tick runs at most `GRACE` late. Of several that are due at once only the last runs: the others are missed, and told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

__all__ = ["CLAIM", "GRACE", "MAX_TOLD", "Due", "Missed", "Reason", "Schedule", "due", "since", "wait"]

GRACE: Final = 60.0
"""Seconds a tick may be late and still run: the resolution of a cron expression."""
CLAIM: Final = 25 * 3600.0
"""Seconds for which the claim of a tick keeps others from it: a clock put back by a day runs nothing twice."""
MAX_TOLD: Final = 1000
"""Missed ticks that are counted one by one after a long silence."""
STEP: Final = 30.0
"""Seconds between two looks at the clock, which may be stepped meanwhile."""

Reason = Literal["down", "late", "overlap"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression with the function it runs. `timezone` is a name of the IANA database."""

    cron: str
    function: str
    timezone: str = "UTC"

    @property
    def name(self) -> str:
        """What claims and marks of this schedule are kept under."""
        return f"{self.function} {self.timezone} {self.cron}"


class Missed(NamedTuple):
    """Ticks that did not run: how many, the last of them, and why."""

    ticks: int
    last: float
    reason: Reason


class Due(NamedTuple):
    """What a wake-up has to do: the tick to run, what was missed before it, and the next tick."""

    tick: float | None
    missed: Missed | None
    next: float


def due(upcoming: float, now: float, after: Callable[[float], float]) -> Due:
    """What there is to do at `now` for a schedule whose next tick was `upcoming`; `after` gives the first tick behind a time."""
    if now < upcoming:
        return Due(None, None, upcoming)
    passed = [upcoming]
    while (tick := after(passed[-1])) <= now and len(passed) < MAX_TOLD:
        passed.append(tick)
    if tick <= now:  # more than are told one by one
        tick = after(now)
    run = passed.pop() if now - passed[-1] <= GRACE else None
    return Due(run, Missed(len(passed), passed[-1], "late") if passed else None, tick)


def since(last: float, now: float, after: Callable[[float], float]) -> Missed | None:
    """The ticks between the last one that anyone took and `now`: nobody was there to run them."""
    count, missed, tick = 0, last, after(last)
    while tick <= now - GRACE and count < MAX_TOLD:
        count, missed, tick = count + 1, tick, after(tick)
    return Missed(count, missed, "down") if count else None


def wait(now: float, upcoming: float) -> float:
    """Seconds until the next look at the clock."""
    return min(max(upcoming - now, 0.0), STEP)
