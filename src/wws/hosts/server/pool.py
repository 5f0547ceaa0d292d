"""Connections to one upstream: bounded in number, kept while they may be used again."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Any

from wws.bindings import Endpoint
from wws.errors import ConnectFailed, UpstreamTimeout
from wws.hosts.server.exchange import UpstreamConnection
from wws.hosts.server.limits import UpstreamLimits
from wws.hosts.server.outbox import Outbox


class Pool:
    """The connections of one scheme, host and port."""

    __slots__ = ("_context", "_endpoint", "_idle", "_keep", "_limits", "_loop", "_waiters", "connections", "open", "outbox")

    def __init__(
        self,
        endpoint: Endpoint,
        loop: asyncio.AbstractEventLoop,
        limits: UpstreamLimits,
        context: ssl.SSLContext | None,
        outbox: Outbox | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._loop = loop
        self._limits = limits
        self._context = context
        self.outbox = outbox or Outbox(loop)
        self._keep = limits.idle_plain if context is None else limits.idle_tls
        self.open = 0  # connections, and dials in progress
        self._idle: list[UpstreamConnection] = []
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.connections: set[UpstreamConnection] = set()

    @property
    def idle(self) -> int:
        """How many connections wait for the next request."""
        return len(self._idle)

    def take(self) -> UpstreamConnection | None:
        """The connection used last, if it is still good; it is the least likely to be closed by the other side."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.broken:
                connection.reused = True
                return connection
        return None

    async def connect(self, timeout: float) -> UpstreamConnection:
        """A new connection within `timeout` seconds, the wait for a free place included.

        Raises `ConnectFailed`, or `UpstreamTimeout` of phase `connect`.
        """
        started = self._loop.time()
        while self.open >= self._limits.connections:
            await self._place(started + timeout)
            if (idle := self.take()) is not None:
                return idle
        self.open += 1
        dial = self._loop.create_task(self._dial())
        dial.add_done_callback(self._dialled)
        try:
            await asyncio.wait({dial}, timeout=max(0.0, started + timeout - self._loop.time()))
        except asyncio.CancelledError:
            if dial.done() and not dial.cancelled() and dial.exception() is None:
                self.release(dial.result())  # made just as it was no longer wanted
            dial.cancel()
            raise
        if not dial.done():
            dial.cancel()
            raise UpstreamTimeout("connect")
        connection = dial.result()
        if connection.broken:
            raise ConnectFailed(f"{self._endpoint.authority} closed the connection at once")
        return connection

    async def _place(self, until: float) -> None:
        """Waits for a free place, or a connection to use again. Raises `UpstreamTimeout` of phase `connect`."""
        place = self._loop.create_future()
        self._waiters.append(place)
        try:
            await asyncio.wait({place}, timeout=max(0.0, until - self._loop.time()))
        except asyncio.CancelledError:
            if place.done():
                self._wake()  # the place was for us: the next one has it
            else:
                self._waiters.remove(place)
            raise
        if not place.done():
            self._waiters.remove(place)
            raise UpstreamTimeout("connect")

    async def _dial(self) -> UpstreamConnection:
        endpoint = self._endpoint
        try:
            if endpoint.unix is not None:
                _, connection = await self._loop.create_unix_connection(self._make, endpoint.unix)
            else:
                name = endpoint.host if self._context is not None else None
                _, connection = await self._loop.create_connection(
                    self._make, endpoint.address or endpoint.host, endpoint.port, ssl=self._context, server_hostname=name
                )
        except ssl.SSLError as error:
            raise ConnectFailed(f"TLS with {endpoint.authority} failed: {error.reason or type(error).__name__}") from None
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that no resolver takes
            raise ConnectFailed(
                f"no connection to {endpoint.authority}: {getattr(error, 'strerror', None) or type(error).__name__}"
            ) from None
        made: UpstreamConnection = connection
        return made

    def _make(self) -> Any:
        return UpstreamConnection(self, self._loop)

    def _dialled(self, dial: asyncio.Task[UpstreamConnection]) -> None:
        if dial.cancelled() or dial.exception() is not None or dial.result().broken:
            self._freed()
        else:
            self.connections.add(dial.result())

    def release(self, connection: UpstreamConnection) -> None:
        """An exchange has ended well: the connection may be used again."""
        if connection.broken:
            return
        if len(self._idle) >= self._limits.idle:
            connection.discard()
            return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        self._wake()

    def gone(self, connection: UpstreamConnection) -> None:
        """The connection has closed."""
        if connection in self.connections:
            self.connections.discard(connection)
            self._freed()
        if connection in self._idle:
            self._idle.remove(connection)

    def _freed(self) -> None:
        self.open -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            place = self._waiters.popleft()
            if not place.done():
                place.set_result(None)
                return

    def check(self, now: float) -> None:
        """Fails exchanges that have been silent too long, closes connections that idled too long."""
        for connection in list(self.connections):
            connection.check(now)
        keep = self._keep
        while self._idle and now - self._idle[0].idle_since > keep:
            self._idle.pop(0).discard()

    def close(self) -> None:
        """Closes every connection."""
        for connection in list(self.connections):
            connection.discard()
        self._idle.clear()
