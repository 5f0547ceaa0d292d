"""The header lines that say what the gateway did with a request, rendered in one go from its `Trail`.

One string for all of them costs a third of what as many pairs do, and every answer carries them.
"""

from __future__ import annotations

from typing import Final

from wws.core.trail import Trail

# Hundredths of a millisecond to text: the durations of nearly every step are in here.
_SHORT: Final = [f"{i / 100:.2f}" for i in range(2000)]
_PARTS: Final = [f".{i:02}" for i in range(100)]
_UNITS: Final = 100_000.0
_BYPASS: Final = "cache-status: wws; fwd=bypass\r\n"
_OUTCOMES: Final = {outcome: f"\r\nx-wws-cache: {outcome.upper()}\r\n" for outcome in ("hit", "stale", "miss", "bypass")}
_ALPHABET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
_MAX_REQUEST_ID: Final = 128


def ms(seconds: float | None) -> str:
    """Seconds as milliseconds with two places; a step that did not run took 0."""
    if seconds is None or seconds < 0.0:  # what is left when a step's own waits are taken off may be less than nothing
        return "0.00"
    units = int(seconds * _UNITS)
    if units < 2000:
        return _SHORT[units]
    units = int(seconds * _UNITS + 0.5)
    return str(units // 100) + _PARTS[units % 100]


def acceptable_id(text: str) -> bool:
    """Whether a caller's X-Request-Id may be used: short, and of an alphabet that is safe in headers and logs."""
    return 0 < len(text) <= _MAX_REQUEST_ID and _ALPHABET.issuperset(text)


def render(request_id: str, trail: Trail, total: float, limits: str) -> str:
    """The lines, each ending in CRLF. `total` is in seconds; `limits` are the lines of the limit that was counted.

    Server-Timing is W3C's (www.w3.org/TR/server-timing), Cache-Status RFC 9211's. Everything written here comes from
    configuration or was validated before.
    """
    status, outcome, reason = trail.cache_status, trail.cache_outcome, trail.reason
    if status is None:
        cache = ""
    elif outcome is None or reason is not None:
        cache = _BYPASS if status == "fwd=bypass" else f"cache-status: wws; {status}\r\n"
    else:
        cache = f"cache-status: wws; {status}{_OUTCOMES[outcome]}"
    routed = "" if reason is None else _routed(trail, reason)
    if trail.degraded or trail.warnings:
        routed += _restricted(trail)
    return (
        f"x-request-id: {request_id}\r\n"
        f"server-timing: auth;dur={ms(trail.auth)}, limit;dur={ms(trail.limit)}, route;dur={ms(trail.route)}, "
        f"cache;dur={ms(trail.cache)}, upstream;dur={ms(trail.upstream)}, total;dur={ms(total)}\r\n"
        f"{cache}{limits}{routed}"
    )


def _routed(trail: Trail, reason: str) -> str:
    """What was asked for an answer of a model, and who gave it."""
    attempts, provider = trail.attempts, trail.provider
    count = len(attempts)
    tries = "1" if count == 1 else str(count)
    if provider is None:
        lines = f"x-wws-route-reason: {reason}\r\nx-wws-attempts: {tries}\r\n"
    else:
        lines = (
            f"x-wws-route-reason: {reason}\r\nx-wws-attempts: {tries}\r\n"
            f"x-wws-provider: {provider}\r\nx-wws-model: {trail.model}\r\n"
        )
    return lines + _fallback(trail) if count > 1 else lines


def _restricted(trail: Trail) -> str:
    lines = ""
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
