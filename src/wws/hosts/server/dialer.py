"""The self-hosted `Dial`: HTTP/1.1 exchanges over pooled connections."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import Awaitable
from typing import Final

from wws.bindings import Endpoint
from wws.core.policy import Timeouts
from wws.errors import ConnectFailed, UpstreamCut, UpstreamTimeout
from wws.hosts.server.exchange import UpstreamConnection
from wws.hosts.server.limits import UpstreamLimits
from wws.hosts.server.outbox import Outbox
from wws.hosts.server.pool import Pool
from wws.hosts.server.pump import Piped
from wws.hosts.server.tasks import Answer, without_task
from wws.hosts.server.tunnel import open_tunnel
from wws.http import Body, Pair, Parts, Response

# RFC 9110 section 9.2.2: these may be sent again when a kept connection turns out to be closed.
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
_HEADS_KEPT: Final = 64
_POOLS_KEPT: Final = 512


class _Head:
    """A head, and what it was made of."""

    __slots__ = ("endpoint", "head", "headers", "method")

    def __init__(self, endpoint: Endpoint, method: str, headers: list[Pair], head: bytes) -> None:
        self.endpoint = endpoint
        self.method = method
        self.headers = headers
        self.head = head


class Dialer:
    """One `Dial` for one event loop. `tick` is called by the server; `close` at the end."""

    __slots__ = ("_context", "_heads", "_limits", "_loop", "_outbox", "pools")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: UpstreamLimits | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self._loop = loop
        self._limits = limits or UpstreamLimits()
        self._context = context
        self._outbox = Outbox(loop)
        self.pools: dict[str, Pool] = {}
        self._heads: dict[str, _Head] = {}

    def _tls(self, endpoint: Endpoint) -> ssl.SSLContext | None:
        if endpoint.scheme != "https":
            return None
        if self._context is None:
            self._context = ssl.create_default_context()
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context

    async def tunnel(self, endpoint: Endpoint, target: str, headers: list[Pair], timeouts: Timeouts) -> Response:
        """See `wws.bindings.Services.tunnel`."""
        return await open_tunnel(self._loop, endpoint, self._tls(endpoint), target, headers, timeouts)

    def _pool(self, endpoint: Endpoint) -> Pool:
        context = self._tls(endpoint)
        if len(self.pools) >= _POOLS_KEPT:  # functions fetch from anywhere: what has no connection left is forgotten
            self.pools = {origin: pool for origin, pool in self.pools.items() if pool.open}
        pool = self.pools[endpoint.origin] = Pool(endpoint, self._loop, self._limits, context, self._outbox)
        return pool

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a name, IPv4 first, for that is what every network has. Raises `ConnectFailed`."""
        try:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(
                f"{host} cannot be resolved: {getattr(error, 'strerror', None) or type(error).__name__}"
            ) from None
        addresses = list(dict.fromkeys([str(address[0]) for _, _, _, _, address in found]))
        return sorted(addresses, key=lambda address: ":" in address)

    def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: list[Pair],
        body: bytes | Body,
        timeouts: Timeouts,
        deadline: float | None = None,
    ) -> Awaitable[Response]:
        """See `wws.bindings.Dial`.

        What is asked without a task, over a connection that is there, and can be sent once only, is on its way when this returns:
        nothing is left to do but to wait, which takes no coroutine.
        """
        pool = self.pools.get(endpoint.origin) or self._pool(endpoint)
        payload: bytes | Body = body
        if not isinstance(body, (bytes, Parts)):
            whole = body.ready()
            payload = body if whole is None else whole
        known = self._heads.get(target)
        if known is not None and known.headers is headers and known.endpoint is endpoint and known.method == method:
            head = known.head
        else:
            head = self._head(endpoint, method, target, headers)
        end = math.inf if deadline is None else deadline
        if method not in _IDEMPOTENT and without_task(self._loop):
            connection = pool.take()
            if connection is not None:
                return connection.exchange(head, payload, method, timeouts, end, True)
        return self._sent(pool, head, payload, method, timeouts, end)

    async def _sent(
        self, pool: Pool, head: bytes, payload: bytes | Body, method: str, timeouts: Timeouts, end: float
    ) -> Response:
        """The answer to a request that needs a connection first, or may have to be sent a second time."""
        connection = pool.take() or await pool.connect(self._connect_timeout(timeouts, end))
        answer = connection.exchange(head, payload, method, timeouts, end, without_task(self._loop))
        try:
            return await answer
        except asyncio.CancelledError:
            _abandon(connection, answer)
            raise
        except UpstreamCut as cut:
            # A kept connection that closed before a byte of the answer was stale: the request may go once more, if it may.
            if cut.answered or not connection.reused or method not in _IDEMPOTENT or not isinstance(payload, bytes):
                raise
        connection = await pool.connect(self._connect_timeout(timeouts, end))
        answer = connection.exchange(head, payload, method, timeouts, end, without_task(self._loop))
        try:
            return await answer
        except asyncio.CancelledError:
            _abandon(connection, answer)
            raise

    def _head(self, endpoint: Endpoint, method: str, target: str, headers: list[Pair]) -> bytes:
        """The head up to the framing field. That of a list of headers which comes again, as AI providers' do, is kept."""
        parts = [f"{method} {target} HTTP/1.1\r\nhost: {endpoint.authority}\r\n".encode("ascii")]
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        head = b"".join(parts)
        if method == "POST":
            if len(self._heads) >= _HEADS_KEPT:
                self._heads.clear()
            self._heads[target] = _Head(endpoint, method, headers, head)
        return head

    def _connect_timeout(self, timeouts: Timeouts, deadline: float) -> float:
        left = deadline - self._loop.time()
        if left <= 0:
            raise UpstreamTimeout("total")
        return min(timeouts.connect, left)

    def tick(self, now: float) -> None:
        """Looks at every timer."""
        for pool in self.pools.values():
            pool.check(now)

    def close(self) -> None:
        """Closes every connection."""
        for pool in self.pools.values():
            pool.close()

    @property
    def open_connections(self) -> int:
        """How many connections there are, idle ones included."""
        return sum(len(pool.connections) for pool in self.pools.values())


def _abandon(connection: UpstreamConnection, answer: asyncio.Future[Response] | Answer) -> None:
    """The caller was cancelled. When the answer had come all the same, the connection may serve another request already."""
    if isinstance(answer, Answer):
        return  # which has told the connection itself
    if answer.cancelled() or not answer.done():
        connection.forsake(answer)
    elif answer.exception() is None and isinstance(body := answer.result().body, Piped):
        body.cancel()
