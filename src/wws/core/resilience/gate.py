"""How many requests a route gets at a time. synthetic.new takes one per model and subscription pack, z.ai a few.

A request that finds every place taken waits in line, when that is worth it: the line is bounded, nobody waits past the own
deadline, and who has another route to go to does not wait long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

__all__ = ["ADMITTED", "EXPIRED", "GONE", "PATIENCE", "WAITING", "Gate", "Places", "Ticket"]

PATIENCE = 1.0
"""Seconds in line that are worth staying on a route when another one could serve."""

WAITING, ADMITTED, EXPIRED, GONE = 0, 1, 2, 3
_MEMORY = 0.2  # the weight of the last request in the average


class Places(Protocol):
    """Places that other processes take from too: whoever asks, no more are taken than there are."""

    def take(self) -> bool:
        """Takes one, if one is free."""
        ...

    def free(self) -> None:
        """Gives one back."""
        ...


class Ticket:
    """A place in line. `wake` is called once: `state` says whether it was `ADMITTED`, or `EXPIRED` since its time was over."""

    __slots__ = ("deadline", "state", "wake")

    def __init__(self, deadline: float, wake: Callable[[], object]) -> None:
        self.deadline = deadline
        self.wake = wake
        self.state = WAITING


class Gate:
    """`limit` places, and a line of at most `room` who wait for one. All times are monotonic seconds.

    Where other processes take from the same places, they are `shared`, and who waits must `look` now and then.
    """

    __slots__ = ("_average", "_line", "in_use", "limit", "room", "shared")

    def __init__(self, limit: int, room: int, shared: Places | None = None) -> None:
        self.limit = limit
        self.room = room
        self.in_use = 0
        self._line: deque[Ticket] = deque()
        self._average = 0.0
        self.shared = shared

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._line)

    def enter(self) -> bool:
        """Takes a free place; those in line come first."""
        if self.in_use >= self.limit or self._line:
            return False
        if self.shared is not None and not self.shared.take():
            return False
        self.in_use += 1
        return True

    def expected_wait(self) -> float:
        """Seconds until one who joins now has a place, by how long places were held of late. 0 where nothing is known."""
        return self._average * (len(self._line) + 1) / self.limit

    def join(self, deadline: float, now: float, wake: Callable[[], object]) -> Ticket | None:
        """A place in line; None when the line is full, or so long that `deadline` would pass first."""
        if len(self._line) >= self.room or now + self.expected_wait() > deadline:
            return None
        ticket = Ticket(deadline, wake)
        self._line.append(ticket)
        return ticket

    def leave(self, now: float, held: float) -> None:
        """A place is free again, after `held` seconds: the first in line whose time is not over has it."""
        self._average += _MEMORY * (held - self._average) if self._average else held
        if not self._admit(now):
            self.in_use -= 1
            if self.shared is not None:
                self.shared.free()

    def look(self, now: float) -> None:
        """Another process may have left a place: the first in line has it."""
        if self.shared is None or not self._line or self.in_use >= self.limit or not self.shared.take():
            return
        if self._admit(now):
            self.in_use += 1
        else:
            self.shared.free()

    def _admit(self, now: float) -> bool:
        """Gives a place to the first in line whose time is not over; False when there is nobody."""
        while self._line:
            ticket = self._line.popleft()
            if ticket.deadline > now:
                ticket.state = ADMITTED
                ticket.wake()
                return True
            ticket.state = EXPIRED
            ticket.wake()
        return False

    def give_up(self, ticket: Ticket) -> bool:
        """Leaves the line. False: the place was given just now, and must be left."""
        if ticket.state == ADMITTED:
            return False
        if ticket.state == WAITING:
            ticket.state = GONE
            self._line.remove(ticket)
        return True
