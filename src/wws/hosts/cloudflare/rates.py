"""Approximate limits by the platform's Rate Limiting binding.

Each of Cloudflare's locations counts for itself, and a little late; in return the answer comes from the machine that asks. A
binding has one limit and one period, of 10 or 60 seconds, and says yes or no, not how much is left
(developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wws.core.policy import Limit, Policy
from wws.errors import StoreError
from wws.hosts.edge.web import Web

__all__ = ["PERIODS", "BindingLimiter", "binding", "rates"]

PERIODS: Final = (10, 60)
Rate = tuple[int, int]
"""Requests, and seconds."""


def rates(policy: Policy) -> list[Rate]:
    """What the policy wants counted approximately, in order: a binding for each."""
    given: list[Limit | None] = [*policy.limits.values(), *[route.limit for route in policy.routes]]
    return sorted({(limit.count, int(limit.period)) for limit in given if limit is not None and limit.approximate})


def binding(rate: Rate) -> str:
    """The name of a rate's binding."""
    return f"WWS_RATE_{rate[0]}_{rate[1]}"


class BindingLimiter:
    """`bindings.ApproximateLimiter` on the bindings of these rates."""

    __slots__ = ("_bindings", "_web")
    consistency = "approximate; each location of the platform counts for itself"

    def __init__(self, web: Web, bindings: Mapping[Rate, Any]) -> None:
        self._web = web
        self._bindings = bindings

    async def allow(self, key: str, limit: int, period: float) -> bool:
        """See `ApproximateLimiter`."""
        web = self._web
        try:
            return bool((await self._bindings[limit, int(period)].limit(web.plain({"key": key}))).success)
        except web.ffi.JsException as error:
            raise StoreError(f"the Rate Limiting binding failed: {str(error)[:200]}") from None
