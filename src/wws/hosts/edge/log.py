"""One JSON line for each finished request, to the platform's log. What is written is an allow-list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from wws import codec
from wws.bindings import Context
from wws.core.text import ms
from wws.http import Outcome, Request

__all__ = ["EdgeLog"]


class EdgeLog:
    """`Services.observe` of an edge host; `write` gets one line without its end."""

    __slots__ = ("_level", "_monotonic", "_version", "_write")

    def __init__(
        self, level: Literal["all", "errors", "off"], version: str, monotonic: Callable[[], float], write: Callable[[str], object]
    ) -> None:
        self._level = level
        self._version = version
        self._monotonic = monotonic
        self._write = write

    def __call__(self, request: Request, ctx: Context, status: int, outcome: Outcome, sent: int) -> None:
        if self._level == "off" or (self._level == "errors" and status < 500):
            return
        trail, route, user, usage = ctx.trail, request.route, ctx.user, ctx.trail.usage
        total = self._monotonic() - trail.started
        fields: dict[str, object] = {
            "request_id": ctx.request_id,
            "route": None if route is None else route.path,
            "method": request.method,
            "status": status,
            "outcome": outcome,
            "error_type": trail.error_type,
            "duration_ms": float(ms(total)),
            "overhead_ms": float(ms(total - (trail.upstream or 0.0))),
            "bytes_out": sent,
            "config_version": self._version,
        }
        if user is not None and user.key_id is not None:
            fields["key_id"] = user.key_id
        if trail.limit_rule is not None:
            fields["limit_rule"] = trail.limit_rule.name
        if trail.reason is not None:
            fields |= {"provider": trail.provider, "model_served": trail.model, "stream": trail.stream}
            fields["attempts"] = [[one.provider, one.model, one.outcome, float(ms(one.seconds))] for one in trail.attempts]
        elif trail.cache_outcome is not None:
            fields["cache"] = trail.cache_outcome
        if usage is not None:
            fields |= {"tokens_in": usage.tokens_in, "tokens_out": usage.tokens_out, "tokens_cached": usage.tokens_cached}
        if trail.degraded:
            fields["degraded"] = list(trail.degraded)
        self._write(codec.encode(fields).decode())
