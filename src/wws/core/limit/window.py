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

from struct import Struct
from typing import Final

from wws.core.limit.decision import Decision

__all__ = ["BUCKETS", "MAX_LIMIT", "give", "take"]

BUCKETS: Final = 60
KEPT: Final = BUCKETS + 1
MAX_LIMIT: Final = 2**32 - 1

_HEAD: Final = Struct("<qI")
_START: Final = _HEAD.size
_new: Final = tuple.__new__  # the constructor of a NamedTuple costs three times as much, and this runs for every request


class _Layout:
    """The counts in one width: `runs[n]` reads the n oldest."""

    __slots__ = ("count", "last", "runs", "size", "width", "zeros")

    def __init__(self, code: str) -> None:
        self.count = Struct(f"<{code}")
        self.width = self.count.size
        self.size = _START + KEPT * self.width
        self.last = self.size - self.width
        self.runs = tuple(Struct(f"<{n}{code}") for n in range(KEPT + 1))
        self.zeros = bytes(KEPT * self.width)


_SHORT: Final = _Layout("H")
_LONG: Final = _Layout("I")
_BY_SIZE: Final = {layout.size: layout for layout in (_SHORT, _LONG)}


def take(state: bytes | None, now: float, limit: int, period: float, cost: int = 1) -> tuple[Decision, bytes | None]:
    """Counts `cost` at `now` (wall seconds), or refuses: the decision and the state to store, None when nothing changes.

    A refusal changes nothing, but for a clock that was put back. `state` is what the last call returned; one that is not a
    window's (another algorithm's, another version's) counts as none. It may be forgotten `reset_after` seconds later.
    Raises `ValueError` for a cost that can never be admitted.
    """
    layout = _SHORT if limit <= 0xFFFF else _LONG
    index = int(now * BUCKETS / period)
    if not 0 < cost <= limit or limit > MAX_LIMIT:
        raise ValueError(f"a cost of {cost} can never be admitted under a limit of {limit}")
    if state is None or len(state) != layout.size:
        state = _converted(state, layout)
        if state is None:
            return _fresh(now, index, limit, period, cost, layout)
    newest, total = _HEAD.unpack_from(state)
    gone = index - newest
    if gone >= KEPT:
        return _fresh(now, index, limit, period, cost, layout)
    if gone > 0:
        total -= sum(layout.runs[gone].unpack_from(state, _START))
    elif gone < 0:
        if gone >= -KEPT:
            index = newest
        else:
            state = _HEAD.pack(index, total) + state[_START:]
        gone = 0
    left = limit - total - cost
    if left < 0:
        corrected = state if index < newest else None
        return _refused(state, now, index, gone, limit, period, cost, layout), corrected
    reset = (index + KEPT) * period / BUCKETS - now
    if gone:
        counts = state[_START + gone * layout.width :] + layout.zeros[: (gone - 1) * layout.width] + layout.count.pack(cost)
    else:
        counts = state[_START : layout.last] + layout.count.pack(layout.count.unpack_from(state, layout.last)[0] + cost)
    return _new(Decision, (True, left, 0.0, reset)), _HEAD.pack(index, total + cost) + counts


def give(state: bytes | None, now: float, limit: int, period: float, cost: int = 1) -> bytes | None:
    """Gives back the `cost` that was counted at `now`: the state to store, None when nothing changes.

    What has left the window since is not there to give back. It is taken from the bucket of `now`, or from those nearest
    to it, the newer ones first, when the counting clock and this one differ.
    """
    layout = _SHORT if limit <= 0xFFFF else _LONG
    state = _converted(state, layout)
    if state is None:
        return None
    newest, total = _HEAD.unpack_from(state)
    at = min(int(now * BUCKETS / period) - newest + BUCKETS, BUCKETS)
    if at < 0 or not total:
        return None
    counts = list(layout.runs[KEPT].unpack_from(state, _START))
    left = cost
    for place in (*range(at, KEPT), *range(at - 1, -1, -1)):
        back = min(counts[place], left)
        counts[place] -= back
        left -= back
    return _HEAD.pack(newest, total - cost + left) + layout.runs[KEPT].pack(*counts)


def _fresh(now: float, index: int, limit: int, period: float, cost: int, layout: _Layout) -> tuple[Decision, bytes]:
    state = _HEAD.pack(index, cost) + layout.zeros[layout.width :] + layout.count.pack(cost)
    return Decision(True, limit - cost, 0.0, (index + KEPT) * period / BUCKETS - now), state


def _refused(state: bytes, now: float, index: int, gone: int, limit: int, period: float, cost: int, layout: _Layout) -> Decision:
    """The refusal: it waits for as many of the oldest buckets to leave as make room for the cost."""
    counts = layout.runs[KEPT].unpack_from(state, _START)[gone:]
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


def _converted(state: bytes | None, layout: _Layout) -> bytes | None:
    """The state in this layout (the limit may have been changed), or None when it is not a window's."""
    if state is None or len(state) == layout.size:
        return state
    other = _BY_SIZE.get(len(state))
    if other is None:
        return None
    newest, _ = _HEAD.unpack_from(state)
    largest = 256**layout.width - 1
    counts = [min(count, largest) for count in other.runs[KEPT].unpack_from(state, _START)]
    return _HEAD.pack(newest, sum(counts)) + layout.runs[KEPT].pack(*counts)
