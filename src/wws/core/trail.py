"""What happened to one request, written down as it happens: the source of its headers, its log line and its metrics."""

from __future__ import annotations

from typing import NamedTuple

from wws.core.limit.decision import Decision
from wws.core.policy import Limit


class Attempt(NamedTuple):
    """One upstream call: how it ended (`ok` or an `error_type`) and how long it took, in seconds."""

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
    """Filled by the steps of the gateway. Times are seconds spent in a step; None means the step did not run."""

    __slots__ = (
        "attempts",
        "auth",
        "auth_source",
        "cache",
        "cache_outcome",
        "cache_status",
        "degraded",
        "error_type",
        "first_token",
        "limit",
        "limit_decision",
        "limit_rule",
        "model",
        "model_requested",
        "provider",
        "reason",
        "route",
        "started",
        "stream",
        "upstream",
        "usage",
        "warnings",
    )

    def __init__(self, started: float) -> None:
        self.started = started  # monotonic seconds
        self.auth: float | None = None
        self.limit: float | None = None
        self.route: float | None = None
        self.cache: float | None = None
        self.upstream: float | None = None
        self.auth_source: str | None = None
        self.limit_rule: Limit | None = None
        self.limit_decision: Decision | None = None
        self.cache_status: str | None = None  # the value of Cache-Status after "wws; "
        self.cache_outcome: str | None = None  # hit | stale | miss | bypass
        self.provider: str | None = None
        self.model: str | None = None
        self.model_requested: str | None = None
        self.reason: str | None = None
        self.attempts: list[Attempt] = []
        self.usage: Usage | None = None
        self.first_token: float | None = None
        self.stream = False
        self.error_type: str | None = None
        self.degraded: list[str] = []
        self.warnings: list[str] = []

    def steps(self) -> float:
        """Seconds in the gateway's own steps."""
        return (self.auth or 0.0) + (self.limit or 0.0) + (self.route or 0.0) + (self.cache or 0.0)
