"""The header lines that say what the gateway did with a request, rendered in one go from its `Trail`.

One string for all of them costs a third of what as many pairs do, and every answer carries them.
"""

from __future__ import annotations

from typing import Final

from wws.core import text
from wws.core.trail import Trail

_joined: Final = text.joined
_BYPASS: Final = "cache-status: wws; fwd=bypass\r\n"
_OUTCOMES: Final = {outcome: f"\r\nx-wws-cache: {outcome.upper()}\r\n" for outcome in ("hit", "stale", "miss", "bypass")}
_ALPHABET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
_MAX_REQUEST_ID: Final = 128


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
    return _joined(
        "x-request-id: ", request_id, "\r\nserver-timing: auth;dur=", trail.auth, ", limit;dur=", trail.limit,
        ", route;dur=", trail.route, ", cache;dur=", trail.cache, ", upstream;dur=", trail.upstream, ", total;dur=", total,
        "\r\n", cache, limits, routed,
    )  # fmt: skip


def _routed(trail: Trail, reason: str) -> str:
    """What was asked for an answer of a model, and who gave it."""
    attempts, provider = trail.attempts, trail.provider
    count = len(attempts)
    if provider is None:
        lines = _joined("x-wws-route-reason: ", reason, "\r\nx-wws-attempts: ", count, "\r\n")
    else:
        lines = _joined(
            "x-wws-route-reason: ", reason, "\r\nx-wws-attempts: ", count, "\r\nx-wws-provider: ", provider,
            "\r\nx-wws-model: ", trail.model or "", "\r\n",
        )  # fmt: skip
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
