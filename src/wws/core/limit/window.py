"""The exact sliding window: `"60/min"` never admits more than 60 in any 60 seconds.

The period is cut into BUCKETS parts and one small count is kept for each, so the state has one size whatever the limit:

    newest   int64    index of the newest bucket: floor(now * BUCKETS / period)
    total    uint32   sum of the counts
    counts   KEPT of  oldest first, uint16 where the limit fits in it, else uint32

A request is admitted when the counts of all buckets that overlap the last period, plus its cost, are at most the limit.
The oldest of them counts whole, so the limit is never passed, and a request is refused at most one bucket
(period / BUCKETS) before a log of every single request would admit it.

Bucket i covers [i * width, (i + 1) * width), width = period / BUCKETS. For any `now` inside bucket n the last period
begins inside bucket n - BUCKETS, so it overlaps BUCKETS + 1 of them: that many counts are kept.

The clock is wall time and may step. A little backwards (within a period: two machines that disagree), the newest bucket keeps
counting. Further back it is taken for a corrected clock: the counts keep their distances and age from now on, which even
a refusal writes down. In both cases nothing counted is forgotten and no wait is negative or longer than two periods.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from wws.core.limit.decision import Decision
from wws.core.text import record

__all__ = ["BUCKETS", "MAX_LIMIT", "Window", "give", "take"]

BUCKETS: Final = 60
KEPT: Final = BUCKETS + 1
MAX_LIMIT: Final = 2**32 - 1
_SHORT_MOST: Final = 0xFFFF
_LONG_AGO: Final = -(2**60)
_NONE: Final = [0] * KEPT
_START: Final = 12
"""Bytes before the counts."""


class _Layout:
    """A state with counts of one width, read whole; written with the counts of all buckets but the newest as they were."""

    __slots__ = ("last", "older", "read", "size", "write")

    def __init__(self, code: str) -> None:
        whole = Struct(f"<qI{KEPT}{code}")
        self.size = whole.size
        self.read: Callable[[bytes], tuple[int, ...]] = whole.unpack
        older = Struct(f"<{BUCKETS}{code}")
        self.last = _START + older.size
        self.older: Callable[..., bytes] = older.pack
        self.write: Callable[[int, int, bytes, int], bytes] = Struct(f"<qI{older.size}s{code}").pack


_SHORT: Final = _Layout("H")
_LONG: Final = _Layout("I")
_BY_SIZE: Final = {layout.size: layout for layout in (_SHORT, _LONG)}
_record: Final = record


class Window:
    """A state that is read already: for a store that knows nobody else has written it since.

    `changed` is set by whatever must be stored. It may be forgotten `reset_after` seconds after the last `take`.
    """

    __slots__ = ("_counts", "_layout", "_newest", "_older", "_total", "changed")

    def __init__(self, state: bytes | None = None) -> None:
        """`state` is what `packed` gave; one that is not a window's (another algorithm's, another version's) counts as none."""
        layout = None if state is None else _BY_SIZE.get(len(state))
        self.changed = False
        self._newest = _LONG_AGO
        self._total = 0
        self._counts: list[int] = _NONE  # oldest first; replaced before it is changed
        self._layout = _SHORT
        self._older: bytes | None = None  # all counts but the newest, as they are stored in this layout
        if layout is not None and state is not None:
            values = layout.read(state)
            self._newest, self._total, self._counts = values[0], values[1], list(values[2:])
            self._layout, self._older = layout, state[_START : layout.last]

    def take(self, now: float, limit: int, period: float, cost: int = 1) -> Decision:
        """Counts `cost` at `now` (wall seconds), or refuses.

        A refusal changes nothing, but for a clock that was put back. Raises `ValueError` for a cost that can never be admitted.
        """
        if not 0 < cost <= limit or limit > MAX_LIMIT:
            raise ValueError(f"a cost of {cost} can never be admitted under a limit of {limit}")
        layout = _SHORT if limit <= _SHORT_MOST else _LONG
        if layout is not self._layout:
            self._convert(layout)
        index = int(now * BUCKETS / period)
        gone, total = index - self._newest, self._total
        if gone >= KEPT:
            total = 0
        elif gone > 0:
            total -= sum(self._counts[:gone])
        elif gone < 0:
            if gone >= -KEPT:
                index = self._newest
            else:
                self._newest = index
                self.changed = True
            gone = 0
        left = limit - total - cost
        if left < 0:
            return _refused(self._counts[gone:], now, index, limit, period, cost)
        if gone > 0:
            self._counts = [*self._counts[gone:], *_NONE[1:gone], cost]
            self._older = None
        else:
            self._counts[BUCKETS] += cost
        self._newest, self._total, self.changed = index, total + cost, True
        return _record(Decision, True, left, 0.0, (index + KEPT) * period / BUCKETS - now)

    def give(self, now: float, limit: int, period: float, cost: int = 1) -> None:
        """Gives back the `cost` that was counted at `now`.

        What has left the window since is not there to give back. It is taken from the bucket of `now`, or from those nearest
        to it, the newer ones first, when the counting clock and this one differ.
        """
        layout = _SHORT if limit <= _SHORT_MOST else _LONG
        if layout is not self._layout:
            self._convert(layout)
        at = min(int(now * BUCKETS / period) - self._newest + BUCKETS, BUCKETS)
        if at < 0 or not self._total:
            return
        counts, left = self._counts, cost
        for place in (*range(at, KEPT), *range(at - 1, -1, -1)):
            back = min(counts[place], left)
            counts[place] -= back
            left -= back
        self._total -= cost - left
        self._older = None
        self.changed = True

    def packed(self) -> bytes:
        """The state to store."""
        layout, counts, older = self._layout, self._counts, self._older
        if older is None:
            older = self._older = layout.older(*counts[:BUCKETS])
        return layout.write(self._newest, self._total, older, counts[BUCKETS])

    def _convert(self, layout: _Layout) -> None:
        """The limit may have been changed: counts become what its width can hold."""
        most = _SHORT_MOST if layout is _SHORT else MAX_LIMIT
        self._counts = [min(count, most) for count in self._counts]
        self._total = sum(self._counts)
        self._layout, self._older = layout, None


def take(state: bytes | None, now: float, limit: int, period: float, cost: int = 1) -> tuple[Decision, bytes | None]:
    """`Window.take` on what is stored: the decision and the state to store, None when nothing changes."""
    window = Window(state)
    decision = window.take(now, limit, period, cost)
    return decision, window.packed() if window.changed else None


def give(state: bytes | None, now: float, limit: int, period: float, cost: int = 1) -> bytes | None:
    """`Window.give` on what is stored: the state to store, None when nothing changes."""
    window = Window(state)
    window.give(now, limit, period, cost)
    return window.packed() if window.changed else None


def _refused(counts: list[int], now: float, index: int, limit: int, period: float, cost: int) -> Decision:
    """The refusal: it waits for as many of the oldest buckets to leave as make room for the cost."""
    oldest = index - BUCKETS  # the bucket counts[0] stands for
    total = sum(counts)
    over = total + cost - limit
    seen = due = last = 0
    for place, count in enumerate(counts):
        if count:
            if seen < over:
                due = place
            seen += count
            last = place
    wait = _until(oldest + due + KEPT, now, period)
    return Decision(False, max(0, limit - total), wait, max(wait, _until(oldest + last + KEPT, now, period)))


def _until(index: int, now: float, period: float) -> float:
    """Seconds from `now` until the bucket `index` has begun."""
    wait = index * period / BUCKETS - now
    # A double holds today's wall time to 0.24 us: the sum may come out just short of the bucket it is meant to reach.
    return wait if int((now + wait) * BUCKETS / period) >= index else wait + 1e-6
