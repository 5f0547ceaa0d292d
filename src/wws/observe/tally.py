"""What every finished request adds up in: one cell for all requests that are alike, found by one look-up.

Counting a request must cost next to nothing, so it is counted once here; `Metrics` and `Ledger` are given the cells every few
seconds, and whenever somebody reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from wws.bindings import Context
from wws.core.trail import Attempt
from wws.http import Outcome, Request

# From half a millisecond (our own overhead) to five minutes (streams of models that reason), in seconds.
BUCKETS: Final[tuple[float, ...]] = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
)  # fmt: skip
_BOUNDS: Final = list(BUCKETS)
MAX_CELLS: Final = 50_000
"""Cells between two drains. Beyond it new callers are counted together, without a subject."""


class Key(NamedTuple):
    """What requests must have in common to be counted in one cell. Empty texts and None where there is nothing to say."""

    route: str
    method: str
    status: int
    outcome: Outcome
    error_type: str | None
    stream: bool
    subject: str
    key_id: str | None
    provider: str | None
    model: str | None
    auth_source: str | None
    limit: str | None
    cache: str | None
    reason: str | None


class Cell:
    """The sums of one key. Times are in seconds; histograms count by `BUCKETS`, the last place what is larger than all."""

    __slots__ = (
        "attempts", "authenticated", "count", "duration", "duration_sum", "failed", "moves", "overhead", "overhead_sum",
        "sent", "tail", "tokens_cached", "tokens_in", "tokens_out", "upstream", "upstream_sum",
    )  # fmt: skip

    def __init__(self) -> None:
        self.count = 0
        self.sent = 0
        self.attempts = 0
        self.authenticated = 0
        self.tokens_in = self.tokens_out = self.tokens_cached = 0
        self.duration = [0] * (len(BUCKETS) + 1)
        self.duration_sum = 0.0
        self.overhead = [0] * (len(BUCKETS) + 1)
        self.overhead_sum = 0.0
        self.upstream = [0] * (len(BUCKETS) + 1)
        """Of the attempt that answered; the others are in `failed`."""
        self.upstream_sum = 0.0
        self.failed: list[Attempt] = []
        self.moves: list[tuple[Attempt, Attempt]] = []
        """An attempt that failed and the one made after it."""
        self.tail: str | None = ""
        """What a log line of such a request ends with, once it has been written; the log keeps it here. None: the cell is that
        of several callers, whose lines end differently."""


class Tally:
    """Adds up finished requests between two drains."""

    __slots__ = ("_cells", "_readers")

    def __init__(self) -> None:
        self._cells: dict[tuple[object, ...], Cell] = {}
        self._readers: list[Callable[[dict[Key, Cell]], None]] = []

    def reader(self, absorb: Callable[[dict[Key, Cell]], None]) -> None:
        """Adds one who is given every cell once."""
        self._readers.append(absorb)

    def add(self, request: Request, ctx: Context, status: int, outcome: Outcome, sent: int, total: float) -> Cell:
        """Counts a request that took `total` seconds; the cell it was counted in."""
        trail = ctx.trail
        route, user, rule = request.route, ctx.user, trail.limit_rule
        key = (
            "" if route is None else route.path,
            request.method,
            status,
            outcome,
            trail.error_type,
            trail.stream,
            "" if user is None else user.id,
            None if user is None else user.key_id,
            trail.provider,
            trail.model,
            trail.auth_source,
            None if rule is None else rule.name,
            trail.cache_outcome,
            trail.reason,
        )
        cell = self._cells.get(key)
        if cell is None:
            cell = self._new(key)
        cell.count += 1
        cell.sent += sent
        cell.duration[_place(total)] += 1
        cell.duration_sum += total
        if trail.auth is not None:
            cell.authenticated += 1
        upstream = trail.upstream
        attempts = trail.attempts
        if attempts:
            cell.attempts += len(attempts)
            if attempts[-1].outcome == "ok":
                seconds = attempts[-1].seconds
                cell.upstream[_place(seconds)] += 1
                cell.upstream_sum += seconds
                if len(attempts) > 1:
                    cell.failed += attempts[:-1]
            else:
                cell.failed += attempts
            for place in range(1, len(attempts)):
                cell.moves.append((attempts[place - 1], attempts[place]))
            usage = trail.usage
            if usage is not None:
                cell.tokens_in += usage.tokens_in
                cell.tokens_out += usage.tokens_out
                cell.tokens_cached += usage.tokens_cached
        # A stream's own time is mostly the provider's: what the gateway took of it is what its steps took.
        own = total - (upstream or 0.0) if not trail.stream else trail.steps()
        cell.overhead[_place(own)] += 1
        cell.overhead_sum += own
        return cell

    def _new(self, key: tuple[object, ...]) -> Cell:
        full = len(self._cells) >= MAX_CELLS
        if full:
            key = (*key[:6], "", None, *key[8:])
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell()
        if full:
            cell.tail = None
        return cell

    def drain(self) -> None:
        """Gives the readers what has been counted since the last time."""
        cells, self._cells = self._cells, {}
        if cells:
            told = {Key(*key): cell for key, cell in cells.items()}  # type: ignore[arg-type]  # the order of Key's fields
            for absorb in self._readers:
                absorb(told)


def _place(seconds: float) -> int:
    """The first of `BUCKETS` that is not smaller: bisect_left, which compiled code can only call as a function of Python's."""
    low, high = 0, len(_BOUNDS)
    while low < high:
        middle = (low + high) >> 1
        if _BOUNDS[middle] < seconds:
            low = middle + 1
        else:
            high = middle
    return low
