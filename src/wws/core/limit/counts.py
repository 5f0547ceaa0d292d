"""Counts in memory: a bounded map from key to state. A plain value: the caller brings the time, one call is one step."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import TypeVar

from wws.core.limit import gcra, window
from wws.core.limit.decision import Decision

__all__ = ["Counts", "Round", "victims"]

T = TypeVar("T")

_LOOKED_AT = 32
"""Least recently used entries among which expired ones are looked for, before the very last is taken."""


def victims(entries: OrderedDict[str, tuple[T, float]], now: float) -> list[str]:
    """Who must go from a full map of (value, expiry) pairs: the expired among the least recently used, else the very last."""
    expired = [key for key, entry in islice(entries.items(), _LOOKED_AT) if entry[1] <= now]
    return expired or [next(iter(entries))]


class Round:
    """Goes over the keys of such a map in steps, each key once a round."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left: list[str] = []

    def expired(self, entries: OrderedDict[str, tuple[T, float]], now: float, most: int) -> list[str]:
        """The expired ones of the next `most` keys; a new round begins when one has ended."""
        if not self._left:
            self._left = list(reversed(entries))  # the least recently used first
        keys = self._left[-most:]
        del self._left[-most:]
        return [key for key in keys if (entry := entries.get(key)) is not None and entry[1] <= now]


class Counts:
    """At most `max_keys` counts. In a full map a new key takes the place of one whose count may be forgotten, else of
    the least recently used one, which then counts anew."""

    __slots__ = ("_entries", "_max_keys", "_round")

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()  # state, when it may be forgotten
        self._round = Round()

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, key: str, limit: int, period: float, cost: int, now: float, burst: int | None = None) -> Decision:
        """Counts or refuses; see `bindings.Counter`."""
        entries = self._entries
        entry = entries.get(key)
        state = None if entry is None else entry[0]
        if burst is None:
            decision, new = window.take(state, now, limit, period, cost)
        else:
            decision, new = gcra.take(state, now, limit, period, burst, cost)
        if new is not None:
            entries[key] = (new, now + decision[3])
        if entry is not None:
            entries.move_to_end(key)
        elif len(entries) > self._max_keys:
            for victim in victims(entries, now):
                del entries[victim]
        return decision

    def give(self, key: str, limit: int, period: float, cost: int, now: float, burst: int | None = None) -> None:
        """Gives back what was counted; see `bindings.Counter`."""
        entry = self._entries.get(key)
        if entry is None:
            return
        state, expires = entry
        new = window.give(state, now, limit, period, cost) if burst is None else gcra.give(state, now, limit, period, burst, cost)
        if new is not None:
            self._entries[key] = (new, expires)

    def sweep(self, now: float, max_entries: int) -> int:
        """Forgets what may be forgotten of the next `max_entries`: how many."""
        expired = self._round.expired(self._entries, now, max_entries)
        for key in expired:
            del self._entries[key]
        return len(expired)

    def clear(self) -> None:
        """Forgets everything."""
        self._entries.clear()
