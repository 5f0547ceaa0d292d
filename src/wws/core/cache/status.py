"""What the cache did, in the words of `Cache-Status` (RFC 9211), without the cache's name in front."""

from __future__ import annotations

from math import floor

__all__ = ["forwarded", "hit"]


def hit(ttl: float) -> str:
    """Answered from the cache. `ttl` is the rest of the freshness lifetime in seconds, below 0 for a stale answer."""
    return f"hit; ttl={floor(ttl)}"


def forwarded(
    reason: str,
    status: int | None = None,
    *,
    stored: bool = False,
    collapsed: bool = False,
    detail: str | None = None,
) -> str:
    """Asked the origin. `reason` is one of section 2.2's: bypass, method, uri-miss, vary-miss, stale, partial, miss.

    `status` is the origin's, said where it may differ from the answer's. `detail` is a token.
    """
    text = f"fwd={reason}"
    if status is not None:
        text += f"; fwd-status={status}"
    if stored:
        text += "; stored"
    if collapsed:
        text += "; collapsed"
    return text if detail is None else f"{text}; detail={detail}"
