"""The header lines that say what the gateway did with a request, rendered in one go from its `Trail`.

One string for all of them costs a third of what as many pairs do, and every answer carries them.
"""

from __future__ import annotations

from typing import Final

from wws.core.trail import Trail

# Hundredths of a millisecond to text: the durations of nearly every step are in here.
_SHORT: Final = [f"{i / 100:.2f}" for i in range(2000)]
_UNITS: Final = 100_000.0
_ALPHABET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
_MAX_REQUEST_ID: Final = 128


def ms(seconds: float | None) -> str:
    """Seconds as milliseconds with two places; a step that did not run took 0."""
    if seconds is None or seconds < 0.0:  # what is left when a step's own waits are taken off may be less than nothing
        return "0.00"
    units = int(seconds * _UNITS)
    return _SHORT[units] if units < 2000 else f"{seconds * 1000:.2f}"


def acceptable_id(text: str) -> bool:
    """Whether a caller's X-Request-Id may be used: short, and of an alphabet that is safe in headers and logs."""
    return 0 < len(text) <= _MAX_REQUEST_ID and _ALPHABET.issuperset(text)


def render(request_id: str, trail: Trail, total: float, limits: str) -> str:
    """The lines, each ending in CRLF. `total` is in seconds; `limits` are the lines of the limit that was counted.

    Server-Timing is W3C's (www.w3.org/TR/server-timing), Cache-Status RFC 9211's. Everything written here comes from
    configuration or was validated before.
    """
    lines = (
        f"x-request-id: {request_id}\r\n"
        f"server-timing: auth;dur={ms(trail.auth)}, limit;dur={ms(trail.limit)}, route;dur={ms(trail.route)}, "
        f"cache;dur={ms(trail.cache)}, upstream;dur={ms(trail.upstream)}, total;dur={ms(total)}\r\n"
    )
    if trail.cache_status is not None:
        lines += f"cache-status: wws; {trail.cache_status}\r\n"
        if trail.cache_outcome is not None and trail.reason is None:
            lines += f"x-wws-cache: {trail.cache_outcome.upper()}\r\n"
    lines += limits
    if trail.reason is not None:
        lines += f"x-wws-route-reason: {trail.reason}\r\nx-wws-attempts: {len(trail.attempts)}\r\n"
        if trail.provider is not None:
            lines += f"x-wws-provider: {trail.provider}\r\nx-wws-model: {trail.model}\r\n"
        if len(trail.attempts) > 1:
            lines += _fallback(trail)
    if trail.degraded:
        lines += f"x-wws-degraded: {', '.join(trail.degraded)}\r\n"
    if trail.warnings:
        lines += f"x-wws-warning: {'; '.join(trail.warnings)}\r\n"
    return lines


def _fallback(trail: Trail) -> str:
    """`synthetic:provider_overloaded>zai`: who failed with what, and who answered."""
    failed = [f"{attempt.provider}:{attempt.outcome}" for attempt in trail.attempts if attempt.outcome != "ok"]
    if not failed or len({attempt.provider + attempt.model for attempt in trail.attempts}) == 1:
        return ""
    return f"x-wws-fallback: {'>'.join([*failed, trail.provider or 'none'])}\r\n"
