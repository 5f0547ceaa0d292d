"""JavaScript's side of the loop, moved by hand."""

from __future__ import annotations

from wws.hosts.deno.loop import EdgeLoop

__all__ = ["Loop", "Platform"]


class Platform:
    """Microtasks and the one timer, as JavaScript has them; time stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 100.0
        self.crossings = 0
        self.microtasks = 0
        self.alarm: float | None = None
        self.loop = Loop(self)

    def soon(self) -> None:
        self.crossings += 1
        self.microtasks += 1

    def later(self, milliseconds: float) -> None:
        self.crossings += 1
        self.alarm = self.now + milliseconds / 1000

    def run(self) -> None:
        """Until nothing is left to be done now."""
        while True:
            if self.microtasks:
                self.microtasks -= 1
                self.loop.turn()
            elif self.alarm is not None and self.alarm <= self.now:
                self.alarm = None
                self.loop.rung()
            else:
                return

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.run()


class Loop(EdgeLoop):
    def __init__(self, platform: Platform) -> None:
        super().__init__(platform.soon, platform.later)
        self.platform = platform

    def time(self) -> float:
        return self.platform.now
