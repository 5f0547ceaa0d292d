"""Why an attempt failed."""

from __future__ import annotations

from typing import NamedTuple

from wws.bindings import Verdict
from wws.errors import ConnectFailed, UpstreamCut, UpstreamError, UpstreamTimeout

__all__ = ["CUT", "EMPTY", "FAILED", "Failure", "of_transport", "of_verdict"]


class Failure(NamedTuple):
    """Why an attempt failed, in the closed set's words, and what the caller would be told of it."""

    outcome: str
    error_type: str
    code: str | None = None
    detail: str | None = None
    param: str | None = None
    retry_after: float | None = None


CUT = Failure("cut", "provider_stream_cut")
FAILED = Verdict("provider_server_error", "provider_error")
EMPTY = Failure("empty", "provider_server_error")
"""It finished in good order and has said nothing at all (GLM-5.3: mistralai/client-python#628)."""


def of_transport(error: UpstreamError) -> Failure:
    """What the transport's error means."""
    if isinstance(error, ConnectFailed):
        return Failure("connect_failed", "provider_connection_failed")
    if isinstance(error, UpstreamTimeout):
        if error.phase == "connect":
            return Failure("connect_failed", "provider_connection_failed")
        return Failure("stall" if error.phase == "idle" else "timeout", "provider_timeout")
    if isinstance(error, UpstreamCut):
        return CUT if error.answered else Failure("reset", "provider_connection_failed")
    return Failure("malformed", "provider_server_error")


def of_verdict(verdict: Verdict) -> Failure:
    """What the provider's own words mean."""
    return Failure(verdict.error_type, verdict.error_type, verdict.code, verdict.detail, verdict.param, verdict.retry_after)
