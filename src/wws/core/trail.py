"""What happened to one request, written down as it happens: the source of its headers, its log line and its metrics."""

from __future__ import annotations

from typing import NamedTuple

from wws.core.limit.decision import Decision
from wws.core.policy import Limit


class Attempt(NamedTuple):
    """One upstream call: how it ended (`ok`, an `error_type`, or `hedged`: another was sooner) and its seconds."""

    provider: str
    model: str
    outcome: str
    seconds: float


class Usage(NamedTuple):
    """Tokens as the provider counted them."""

    tokens_in: int
    tokens_out: int
    tokens_cached: int = 0


class Trail:
    """Filled by the steps of the gateway. Times are seconds spent in a step; None means the step did not run.

    The defaults stand on the class, so that a new one costs two assignments.
    """

    started: float
    """Monotonic seconds."""
    auth: float | None = None
    limit: float | None = None
    route: float | None = None
    cache: float | None = None
    upstream: float | None = None
    auth_source: str | None = None
    limit_rule: Limit | None = None
    limit_decision: Decision | None = None
    cache_status: str | None = None
    """The value of Cache-Status after `wws; `."""
    cache_outcome: str | None = None
    """`hit`, `stale`, `miss` or `bypass`."""
    provider: str | None = None
    model: str | None = None
    model_requested: str | None = None
    reason: str | None = None
    usage: Usage | None = None
    first_token: float | None = None
    stream: bool = False
    error_type: str | None = None
    degraded: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __init__(self, started: float) -> None:
        self.started = started
        self.attempts: list[Attempt] = []

    def steps(self) -> float:
        """Seconds in the gateway's own steps."""
        return (self.auth or 0.0) + (self.limit or 0.0) + (self.route or 0.0) + (self.cache or 0.0)
