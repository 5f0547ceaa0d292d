"""GCRA, the generic cell rate algorithm (ITU-T I.371 annex A): `"60/min burst 10"`, a token bucket kept in one number.

    T    = period / limit                emission interval
    tat  = theoretical arrival time      when the bucket is full again
    tat' = max(tat, now) + cost * T
    tat' - burst * T > now: refuse, store nothing; else admit and store tat'

Times are kept in units of T, where adding a cost is adding a whole number and exact: a burst of `burst` requests at one
instant admits exactly `burst`, whatever T is. The bucket refills while it is emptied, so a period can admit limit + burst.
"""

from __future__ import annotations

from math import floor
from struct import Struct
from typing import Final

from wws.core.limit.decision import Decision

__all__ = ["give", "take"]

_TAT: Final = Struct("<d")


def take(state: bytes | None, now: float, limit: int, period: float, burst: int, cost: int = 1) -> tuple[Decision, bytes | None]:
    """Counts `cost` at `now` (wall seconds), or refuses: the decision and the state to store, None when nothing changes.

    A refusal changes nothing, but for a clock that was put back. `state` is what the last call returned; one that is not
    GCRA's counts as none. It may be forgotten `reset_after` seconds later.
    Raises `ValueError` for a cost that can never be admitted.
    """
    if not 0 < cost <= burst:
        raise ValueError(f"a cost of {cost} can never be admitted under a burst of {burst}")
    interval = period / limit
    at = now / interval
    tat = _stored(state, at, limit, burst)
    due = tat + cost
    early = due - burst - at
    if early > 0:
        wait = early * interval
        # A double holds today's wall time to 0.24 us: the sum may come out just short of the moment it is meant to reach.
        if (now + wait) / interval < due - burst:
            wait += 1e-6
        # Of a corrected clock even a refusal is written down: the bucket fills from now on.
        corrected = None if state is None or tat == _TAT.unpack(state)[0] else _TAT.pack(tat)
        return Decision(False, max(0, floor(at + burst - tat)), wait, (tat - at) * interval), corrected
    return Decision(True, floor(at + burst - due), 0.0, (due - at) * interval), _TAT.pack(due)


def give(state: bytes | None, now: float, limit: int, period: float, burst: int, cost: int = 1) -> bytes | None:
    """Gives back a `cost` that was counted: the state to store, None when nothing changes."""
    at = now / (period / limit)
    tat = _stored(state, at, limit, burst)
    return _TAT.pack(max(at, tat - cost)) if tat > at else None


def _stored(state: bytes | None, at: float, limit: int, burst: int) -> float:
    """The stored tat, not before now. No take sets it later than a burst from its `now`: one that lies a whole period beyond that
    was set by a clock that has since been put back, and stands for an empty bucket."""
    if state is None or len(state) != _TAT.size:
        return at
    tat: float = _TAT.unpack(state)[0]
    if tat - at > burst + limit:
        return at + burst
    return max(tat, at)
