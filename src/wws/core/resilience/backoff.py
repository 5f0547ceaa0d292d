"""How long to wait before the same route is asked again, and how much of that a provider gets.

Retries help against a hiccup and hurt in an outage: there every caller retries, and the provider gets a multiple of what it
could not carry. So they are a share of the requests (Finagle's and Envoy's retry budgets), spread by full jitter.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BASE", "LONGEST", "RetryBudget", "delay"]

BASE: Final = 0.1
"""Seconds: the longest first wait."""
LONGEST: Final = 2.0
"""Seconds: the longest wait at all, but for what the provider asks for."""
WINDOW: Final = 10.0
"""Seconds over which requests and retries are compared."""


def delay(retry: int, jitter: float, retry_after: float | None = None) -> float:
    """Seconds before retry number `retry` (the first is 0). `jitter` is random, from 0 to 1.

    Full jitter: anything up to the doubled wait. What the provider asked for, already capped, is a floor to which the
    jitter is added, so that those who were told the same do not all come back at once.
    """
    spread = jitter * min(LONGEST, BASE * (1 << min(retry, 10)))
    return spread if retry_after is None else retry_after + spread


class RetryBudget:
    """One provider's: retries may be `share` of the requests of the last seconds, and `floor` of them in any case.

    Counted in two spans of WINDOW that replace each other, the older one weighed by how much of it still counts.
    """

    __slots__ = ("_end", "_floor", "_requests", "_requests_before", "_retries", "_retries_before", "_share")

    def __init__(self, share: float = 0.1, floor: int = 3) -> None:
        self._share = share
        self._floor = floor
        self._end = 0.0
        self._requests = self._requests_before = 0
        self._retries = self._retries_before = 0

    def request(self, now: float) -> None:
        """A request is sent, be it the first or a retry."""
        if now >= self._end:
            self._turn(now)
        self._requests += 1

    def allows(self, now: float) -> bool:
        """Whether one more retry fits, and counts it when it does."""
        if now >= self._end:
            self._turn(now)
        weight = (self._end - now) / WINDOW
        requests = self._requests + self._requests_before * weight
        retries = self._retries + self._retries_before * weight
        if retries + 1 > max(float(self._floor), requests * self._share):
            return False
        self._retries += 1
        return True

    def _turn(self, now: float) -> None:
        recent = now < self._end + WINDOW
        self._requests_before = self._requests if recent else 0
        self._retries_before = self._retries if recent else 0
        self._requests = self._retries = 0
        self._end = self._end + WINDOW if recent else now + WINDOW
