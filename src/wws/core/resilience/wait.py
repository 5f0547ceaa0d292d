"""How long a provider asks to be left alone, from the headers of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite

__all__ = ["COOLDOWN_MAX", "capped", "retry_after"]

COOLDOWN_MAX = 300.0
"""Seconds. A hint of 24 hours must not freeze a route (grok2api #986); Envoy ejects a host for at most as long."""


def capped(seconds: float) -> float | None:
    """`seconds` between 0 and COOLDOWN_MAX; None where it is not a finite number or lies in the past."""
    return min(seconds, COOLDOWN_MAX) if isfinite(seconds) and seconds >= 0 else None


def retry_after(headers: Mapping[bytes, bytes], now: float) -> float | None:
    """Seconds to wait, capped, or None when nothing usable is said. `now` is wall time.

    `retry-after-ms` (milliseconds, as OpenAI's SDKs read it) goes before `Retry-After`, which is delta-seconds or an
    HTTP-date (RFC 9110 section 10.2.3).
    """
    text = headers.get(b"retry-after-ms")
    if text is not None and (seconds := _number(text)) is not None:
        return capped(seconds / 1000)
    text = headers.get(b"retry-after")
    if text is None:
        return None
    seconds = _number(text)
    if seconds is None:
        seconds = _until(text, now)
    return None if seconds is None else capped(seconds)


def _number(text: bytes) -> float | None:
    # delay-seconds = 1*DIGIT; some providers send a fraction. float() would also take "inf", "1_0" and "1e9".
    digits = text.strip().replace(b".", b"", 1)
    return float(text) if digits.isdigit() and len(digits) < 20 else None


def _until(text: bytes, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(text.decode("ascii"))
        if moment.tzinfo is None:  # "-0000" or no zone at all: an HTTP-date is always GMT
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() - now
    except (ValueError, OverflowError, UnicodeDecodeError):
        return None
