"""A circuit breaker: whether a route may be asked now, by how its last answers ended.

    closed      everybody may ask
    open        nobody may, until a time
    half-open   that time has come and one request, the probe, is under way

It is fed by the provider's own faults only. A caller's mistake, or a caller who left, says nothing about a provider
(LiteLLM #34416, suna #4821).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from wws.core.resilience.wait import COOLDOWN_MAX

__all__ = ["CAUSES", "CLOSED", "HALF_OPEN", "OPEN", "Breaker", "Cause"]

CLOSED: Final = 0
HALF_OPEN: Final = 1
OPEN: Final = 2
"""Values of `Breaker.state`, as the metric `wws_breaker_state` has them."""

CONSECUTIVE: Final = 5
"""Failures in a row that open it (Envoy's outlier detection)."""
SHARE: Final = 0.5
LEAST: Final = 20
WINDOW: Final = 10.0
"""It opens too when SHARE of at least LEAST requests failed in about the last WINDOW seconds."""
PROBE_MOST: Final = 60.0
"""Seconds after which a probe whose end nobody told is taken for lost."""
SPREAD: Final = 0.25
"""The part of a growing wait that is random."""


class Cause(NamedTuple):
    """What a failure of one `error_type` does.

    `at_once`: it opens by itself, without a second one. The first probe comes after `first` seconds, each further one
    after `growth` times as many, at most `longest`. `held`: there is no asking before that, even if every other route is
    open as well: the provider has answered, and its answer stands.
    """

    at_once: bool
    first: float
    growth: float
    longest: float
    held: bool


# An outage may end at any moment: doubling through one of a minute would miss its end by half a minute.
_OUTAGE: Final = Cause(False, 30.0, 1.0, 30.0, False)
_ACCOUNT: Final = Cause(True, 30.0, 2.0, COOLDOWN_MAX, True)
CAUSES: Final[dict[str, Cause]] = {
    "provider_connection_failed": _OUTAGE,
    "provider_timeout": _OUTAGE,
    "provider_server_error": _OUTAGE,
    "provider_stream_cut": _OUTAGE,
    "provider_overloaded": _OUTAGE,
    # Without a hint it is about requests at the same moment: over in seconds.
    "provider_rate_limited": Cause(True, 1.0, 2.0, 30.0, True),
    "provider_quota": _ACCOUNT,
    "provider_billing": _ACCOUNT,
    "provider_auth_failed": _ACCOUNT,
}


class Breaker:
    """One route's. All times are monotonic seconds.

    `until` is when the next probe may go, `floor` the earliest time for one that is let through because nothing else is
    left. `cause` is the `error_type` it opened for.
    """

    __slots__ = (
        "_consecutive", "_end", "_failed", "_failed_before", "_requests", "_requests_before", "_wait",
        "cause", "floor", "state", "until",
    )  # fmt: skip

    def __init__(self) -> None:
        self.state = CLOSED
        self.until = 0.0
        self.floor = 0.0
        self.cause: str | None = None
        self._wait = 0.0  # the last one, for growth
        self._consecutive = 0
        self._end = 0.0
        self._requests = self._requests_before = 0
        self._failed = self._failed_before = 0

    def allows(self, now: float, *, forced: bool = False) -> bool:
        """Whether to ask now. True while it is open makes the one who asks the probe: `succeeded`, `failed` or `released` must
        follow. `forced`: nothing else is left to ask."""
        if self.state == CLOSED:
            return True
        if self.state == OPEN:
            if now < (self.floor if forced else self.until):
                return False
        elif now < self.until:
            return False
        self.state = HALF_OPEN
        self.until = now + PROBE_MOST
        return True

    def succeeded(self, now: float) -> bool:
        """An answer has come. True: this closed it.

        One that had been asked for before it opened closes it too, but not before the time the provider asked for.
        """
        closed = self.state == HALF_OPEN or (self.state == OPEN and now >= self.floor)
        if closed:
            self._close()
        self._consecutive = 0
        if now >= self._end:
            self._turn(now)
        self._requests += 1
        return closed

    def failed(self, now: float, error_type: str, retry_after: float | None = None, jitter: float = 0.0) -> bool:
        """The provider failed. `retry_after` are the seconds it asked for, capped; `jitter` is random, from 0 to 1.

        True: this opened it, from closed. An `error_type` that is not the provider's fault changes nothing.
        """
        cause = CAUSES.get(error_type)
        if cause is None:
            self.released(now)
            return False
        if now >= self._end:
            self._turn(now)
        self._requests += 1
        self._failed += 1
        self._consecutive += 1
        state = self.state
        if state == OPEN:
            # It had been sent before the breaker opened. What it was told counts all the same.
            if retry_after is not None:
                self.floor = max(self.floor, now + retry_after)
                self.until = max(self.until, self.floor)
            return False
        if state == CLOSED and not (cause.at_once or retry_after is not None or self._too_many(now)):
            return False
        self._open(now, error_type, cause, retry_after, jitter)
        return state == CLOSED

    def released(self, now: float) -> None:
        """The probe ended without a word on the provider: the next request may be one."""
        if self.state == HALF_OPEN:
            self.state = OPEN
            self.until = min(self.until, now)

    def shut(self, until: float, error_type: str) -> bool:
        """Opens it until a time that is known: a quota that is used up returns then. True: it was not open before."""
        before = self.state
        if before != OPEN or until > self.until:
            self.state, self.cause = OPEN, error_type
            self.until = self.floor = until
        return before == CLOSED

    def _open(self, now: float, error_type: str, cause: Cause, retry_after: float | None, jitter: float) -> None:
        again = self.state == HALF_OPEN and self.cause == error_type
        self._wait = min(self._wait * cause.growth, cause.longest) if again and self._wait else cause.first
        wait = self._wait
        if cause.growth > 1.0:
            wait *= 1.0 + SPREAD * (jitter - 1.0)
        if retry_after is not None:
            wait = max(wait if cause.held else 0.0, retry_after)
        wait = min(wait, COOLDOWN_MAX)
        self.state, self.cause = OPEN, error_type
        self.until = now + wait
        self.floor = self.until if cause.held or retry_after is not None else now
        self._consecutive = 0

    def _close(self) -> None:
        self.state, self.cause = CLOSED, None
        self.until = self.floor = self._wait = 0.0
        self._requests = self._requests_before = 0
        self._failed = self._failed_before = 0

    def _too_many(self, now: float) -> bool:
        if self._consecutive >= CONSECUTIVE:
            return True
        weight = (self._end - now) / WINDOW
        requests = self._requests + self._requests_before * weight
        return requests >= LEAST and self._failed + self._failed_before * weight >= requests * SHARE

    def _turn(self, now: float) -> None:
        """The two spans of counts: the one that ends here, weighed down as it ages, and a new one."""
        recent = now < self._end + WINDOW
        self._requests_before = self._requests if recent else 0
        self._failed_before = self._failed if recent else 0
        self._requests = self._failed = 0
        self._end = self._end + WINDOW if recent else now + WINDOW
