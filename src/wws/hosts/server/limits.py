"""The server's own limits, each with its reason. Times in seconds, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass

HIGH_WATER = 64 * 1024
"""Bytes of a body waiting in memory before the sender is made to wait: asyncio's own default for writes."""

UPSTREAM_HEADER_BYTES = 64 * 1024
"""Of an answer: twice what we take from clients, since origins set many cookies (nginx refuses over 4 or 8 KiB a field)."""

TICK = 0.25
"""How often timers are looked at. One sweep over the connections is cheaper than a timer object per request."""


DRAIN_IDLE = 0.5
"""Seconds since its last request after which a kept connection is closed when the server drains. One that is in use gets
`Connection: close` with its next answer instead: closing it under a request on its way would fail that request."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one client connection may take. The precedents: hypercorn 5 s, granian 30 s, uvicorn 5 s, slowhttptest's defaults."""

    header_timeout: float = 10.0
    """From accept, or the first byte of a head, to its end. Then 408."""
    keep_alive: float = 15.0
    """Idle between requests. Then closed."""
    body_grace: float = 10.0
    """The window over which the rate of a body is judged."""
    body_rate: float = 1024.0
    """Bytes a second, below which a body that is waited for is refused with 408."""
    write_stall: float = 60.0
    """A client that takes nothing for this long is closed; nginx's send_timeout."""
    linger: float = 2.0
    """How long bytes are thrown away after a refusal, so that the client can read the answer before a reset."""
    linger_bytes: int = 64 * 1024 * 1024
    """Thrown away after a refusal before the connection is reset: twice the largest body, so that its sender learns why."""
    connections: int = 16_384
    """Open client connections of one process. More are refused with 503."""
    per_address: int = 4096
    """Of them from one client address (IPv6: one /64): a quarter, so that no single one takes every place."""
    pipeline: int = 64
    """Requests received ahead of their turn before the connection is refused; browsers send none, proxies a few."""


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """What one upstream may take."""

    connections: int = 1024
    """Open connections to one upstream; Envoy's default for a cluster."""
    idle: int = 128
    """Connections kept for the next request."""
    idle_plain: float = 4.0
    """How long a plain connection is kept: under node's 5 s keep-alive, so that it is we who close first."""
    idle_tls: float = 55.0
    """How long a TLS connection is kept: under the 60 s at which common load balancers close."""
