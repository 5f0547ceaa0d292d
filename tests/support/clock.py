"""A clock that stands still until it is told to move."""

from __future__ import annotations


class FakeClock:
    """Wall time and monotonic time that move together by `advance`; `step` moves the wall alone, as an operator may."""

    def __init__(self, wall: float = 1_790_000_000.0, monotonic: float = 1_000.0) -> None:
        self._wall = wall
        self._monotonic = monotonic

    def time(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._wall += seconds
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        self._wall += seconds

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
