"""The end of a stream that was committed: what is told of it when its last byte has been sent, or will not be."""

from __future__ import annotations

from typing import Final

from wws.bindings import Clock, Verdict
from wws.core.trail import Trail
from wws.core.wire.relay_stream import RelayStream
from wws.core.wire.tap import Shape, error_event
from wws.errors import Refusal
from wws.functions.failure import FAILED
from wws.functions.upstreams import Upstream
from wws.http import Headers, Outcome, Pair

__all__ = ["PLAIN", "SSE", "Ending"]

_JSON: Pair = (b"content-type", b"application/json")
PLAIN = Headers.trusted([_JSON])
"""The header fields of an event's data, which is JSON whatever the stream is."""

_NOT_THEIRS: Final = {"client_closed": "caller_cancelled", "stopped": "policy_concurrency"}
"""Ends of a stream that say nothing about the provider, and the `error_type` they are told as."""


SSE: list[Pair] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),  # proxies on the way must not hold or change it
    (b"x-accel-buffering", b"no"),
]
"""The header fields of a stream."""


class Ending:
    """What is still to be told when a committed stream has ended: the trail, the route, and the place in its gate.

    Called by the host once, as `Response.finish`.
    """

    __slots__ = ("_clock", "_jitter", "_provider", "_shape", "_upstream", "relay", "since", "trail", "verdict")

    def __init__(self, upstream: Upstream, shape: Shape, trail: Trail, clock: Clock, since: float, jitter: float) -> None:
        self._upstream = upstream
        self._shape: Shape = shape
        self.trail = trail
        self._clock = clock
        self._jitter = jitter
        self.since = since
        self.relay: RelayStream | None = None
        self.verdict: Verdict | None = None

    def on_error(self, data: bytes) -> bytes:
        """The event for a failure that the provider reported inside its stream, in our words."""
        self.verdict = verdict = self._upstream.provider.classify(200, PLAIN, data) or FAILED
        refusal = Refusal(verdict.code, verdict.detail)
        return error_event(self._shape, refusal.code, refusal.message)

    def __call__(self, outcome: Outcome, sent: int) -> None:
        """The stream has ended."""
        relay, trail, upstream = self.relay, self.trail, self._upstream
        if relay is None:
            return
        now = self._clock.monotonic()
        trail.usage = relay.usage
        trail.model = relay.model or trail.model
        if relay.complete:
            upstream.succeeded(now)
        elif outcome in _NOT_THEIRS:
            upstream.released(now)
        else:
            verdict = self.verdict
            kind = "provider_timeout" if outcome == "stall" else "provider_stream_cut"
            upstream.failed(now, kind if verdict is None else verdict.error_type, None, self._jitter)
        if outcome in _NOT_THEIRS:
            trail.error_type = _NOT_THEIRS[outcome]
        elif not relay.complete:
            trail.error_type = "provider_stream_cut"
        gate = upstream.gate
        if gate is not None:
            gate.leave(now, now - self.since)
