"""The quota that synthetic.new reports with its answers, header `x-synthetic-quotas` (aliou/pi-synthetic).

A JSON object of windows, any part of which may be missing; a missing part is unknown, not used up.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Any, NamedTuple

from wws import codec
from wws.core.resilience.wait import capped

__all__ = ["Quota", "Window", "parse", "wait"]

MAX_HEADER = 8192
"""Bytes of the header that are read at all; the real one has about 600."""


class Window(NamedTuple):
    """One limit: how much is left of how much (requests, or US dollars), and when some of it comes back (wall time).

    `limited` is the provider's own word for being at the limit now.
    """

    remaining: float | None
    maximum: float | None
    returns_at: float | None
    limited: bool | None = None

    @property
    def used_up(self) -> bool:
        """Whether the next request will be refused, as far as is known."""
        return self.limited is True or (self.remaining is not None and self.remaining <= 0)


class Quota(NamedTuple):
    """`five_hours` and `subscription` count requests, `week` counts credits in US dollars."""

    five_hours: Window | None = None
    week: Window | None = None
    subscription: Window | None = None


def parse(header: bytes) -> Quota | None:
    """The quota a header states; None when it is no such header."""
    if len(header) > MAX_HEADER:
        return None
    try:
        fields = codec.decode(header)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    return Quota(
        _window(fields.get("rollingFiveHourLimit"), "remaining", "max", "nextTickAt"),
        _window(fields.get("weeklyTokenLimit"), "remainingCredits", "maxCredits", "nextRegenAt"),
        _subscription(fields.get("subscription")),
    )


def wait(quota: Quota, now: float) -> float | None:
    """Seconds until the first request that may be admitted, capped; None when nothing that is known is used up.

    Where a window is used up and does not say when it returns, that is the cap: the provider will be asked again then.
    """
    waits = [
        float("inf") if window.returns_at is None else max(0.0, window.returns_at - now)
        for window in quota
        if window is not None and window.used_up
    ]
    return capped(min(max(waits), 1e9)) if waits else None


def _window(fields: Any, remaining: str, maximum: str, returns: str) -> Window | None:
    if not isinstance(fields, dict):
        return None
    left = _amount(fields.get(remaining))
    percent = _amount(fields.get("percentRemaining"))
    if left is None and percent == 0:
        left = 0.0
    limited = fields.get("limited")
    return Window(
        left, _amount(fields.get(maximum)), _moment(fields.get(returns)), limited if isinstance(limited, bool) else None
    )


def _subscription(fields: Any) -> Window | None:
    """It states what has been used, not what is left."""
    if not isinstance(fields, dict):
        return None
    limit, used = _amount(fields.get("limit")), _amount(fields.get("requests"))
    left = None if limit is None or used is None else limit - used
    return Window(left, limit, _moment(fields.get("renewsAt")))


def _amount(value: Any) -> float | None:
    """A number, or credits as text such as "$24.00"."""
    if isinstance(value, str):
        try:
            value = float(value.strip().removeprefix("$").replace(",", ""))
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


def _moment(value: Any) -> float | None:
    """A time as ISO 8601 text, or as seconds or milliseconds since 1970, in seconds."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    number = _amount(value)
    if number is None or number <= 0:
        return None
    return number / 1000 if number > 1e11 else number
