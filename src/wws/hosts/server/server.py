"""The listening side: accepts connections, ticks their timers, drains at the end."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

from wws.core.limit.subject import address
from wws.core.wire.address import Network, client_address, trusted
from wws.errors import Refusal
from wws.functions.refuse import refuse
from wws.hosts.server.connection import Connection
from wws.hosts.server.limits import TICK, ServerLimits
from wws.hosts.server.listening import BACKLOG, Acceptor, Crowd, accept_the_rest, bind, duplicates
from wws.hosts.server.outbox import Outbox
from wws.http import Request, Response
from wws.project.address import Address

App = Callable[[Request], Coroutine[Any, Any, Response]]
_LAST_WORDS = 1.0  # seconds in which the end of an answer that was cut short may reach its client
_PROBE = 0.2  # seconds a listener on this machine has to accept
_log = logging.getLogger("wws.server")


class Server:
    """Serves one app on any number of addresses in one event loop.

    `app` turns a request into a response; what it raises becomes a plain 500. `on_tick` is called with the loop's time
    every TICK seconds, for whoever else has timers.
    """

    def __init__(
        self,
        app: App,
        loop: asyncio.AbstractEventLoop,
        *,
        limits: ServerLimits | None = None,
        tls: ssl.SSLContext | None = None,
        proxies: tuple[Network, ...] = (),
        on_tick: Callable[[float], None] | None = None,
    ) -> None:
        self.app = app
        self.loop = loop
        self.limits = limits or ServerLimits()
        self.proxies = proxies
        self.scheme = "http" if tls is None else "https"
        self.date = _date()
        self.draining = False
        self.outbox = Outbox(loop)
        self.connections: set[Connection] = set()
        self.refusals: dict[int, int] = {}
        self._tls = tls
        self._on_tick = on_tick
        self._listeners: list[asyncio.AbstractServer] = []
        self._acceptors: list[Acceptor] = []
        self._unix: dict[str, int] = {}  # path to inode
        self._timer: asyncio.TimerHandle | None = None
        self._idle: asyncio.Event = asyncio.Event()
        self._peers: dict[str, int] = {}

    # listening

    async def listen(self, address: str) -> str:
        """Listens on `host:port`, `[ipv6]:port` or `unix:/path`; gives the address really bound (port 0 is filled in).

        Raises `OSError` when it cannot.
        """
        extra: dict[str, Any] = {"ssl": self._tls, "backlog": BACKLOG}
        if self._tls is not None:
            extra["ssl_handshake_timeout"] = self.limits.header_timeout
        if address.startswith("unix:"):
            path = address[len("unix:") :]
            await self.loop.run_in_executor(None, _remove_stale, path)
            self._listeners.append(await self.loop.create_unix_server(self._connection, path, **extra))
            self._unix[path] = await self.loop.run_in_executor(None, _inode, path)
            bound = address
        else:
            host, _, port = address.rpartition(":")
            bare = host.strip("[]")
            listener = await self.loop.create_server(self._connection, bare or None, int(port), **extra)
            self._listeners.append(listener)
            bound = f"{host}:{listener.sockets[0].getsockname()[1]}"
        self._begin_ticking()
        return bound

    def share(self, listener: socket.socket, crowd: Crowd, seat: int) -> None:
        """Accepts from a listening socket that other processes accept from too."""
        self._acceptors.append(
            Acceptor(
                listener, self.loop, self._connection, crowd=crowd, seat=seat, count=lambda: len(self.connections),
                tls=self._tls, handshake=self.limits.header_timeout,
            )
        )  # fmt: skip
        self._begin_ticking()

    def _begin_ticking(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(TICK, self._tick)

    def _connection(self) -> Any:
        return Connection(self)

    def _tick(self) -> None:
        self._timer = self.loop.call_later(TICK, self._tick)  # first: no error below may end the ticking
        now = self.loop.time()
        self.date = _date()
        for connection in list(self.connections):
            connection.check(now)
        if self._on_tick is not None:
            self._on_tick(now)

    # told by connections

    def opened(self, connection: Connection) -> bool:
        """Whether there is a place for one more. A unix socket's peers and trusted proxies stand for many clients."""
        if len(self.connections) >= self.limits.connections:
            return False
        peer = connection.peer
        if peer and not (self.proxies and trusted(peer, self.proxies)):
            who = address(peer)
            count = self._peers.get(who, 0)
            if count >= self.limits.per_address:
                return False
            self._peers[who] = count + 1
        self.connections.add(connection)
        return True

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        who = address(connection.peer)
        count = self._peers.get(who, 0)
        if count > 1:
            self._peers[who] = count - 1
        elif count:
            del self._peers[who]
        if not self.connections:
            self._idle.set()

    def refused(self, status: int) -> None:
        """A message was refused before it was a request."""
        self.refusals[status] = self.refusals.get(status, 0) + 1

    def failed(self, request: Request, error: BaseException | None) -> Response:
        """The answer when the app itself raised, which it never should."""
        _log.error("unhandled error", exc_info=error)
        return Response.text("The gateway failed on this request.\n", 500, {"cache-control": "no-store"})

    def stopping(self, request: Request) -> Response:
        """The answer to a request that the end of the process cuts short."""
        refusal = Refusal("overloaded", "The gateway is stopping. Ask again.", retry_after=1.0, retry=True)
        return refuse(refusal, openai=request.route is not None and request.route.to == "ai")

    def stream_failed(self, request: Request, error: BaseException) -> None:
        """A stream raised while it was being sent."""
        _log.warning("stream ended early: %s", type(error).__name__)

    def client_address(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """The client's address, past trusted proxies."""
        return client_address(peer, forwarded_for, self.proxies)

    # the end

    async def close_listeners(self) -> None:
        """Accepts what waits, and nothing that comes later."""
        options: dict[str, Any] = {} if self._tls is None else {"ssl": self._tls}
        for listener in self._listeners:
            kept = duplicates(listener)
            listener.close()
            await accept_the_rest(kept, self.loop, self._connection, options)
        self._listeners.clear()
        for acceptor in self._acceptors:
            await acceptor.close()
        self._acceptors.clear()
        for path, inode in self._unix.items():
            await self.loop.run_in_executor(None, remove_own, path, inode)
        self._unix.clear()

    async def stop(self, grace: float, hurry: asyncio.Event | None = None) -> None:
        """Stops listening, lets answers finish for `grace` seconds or until `hurry`, then ends what is left."""
        self.draining = True
        await self.close_listeners()
        for connection in list(self.connections):
            connection.drain()
        await self._empty(grace, hurry)
        for connection in list(self.connections):
            connection.expire()
        await self._empty(_LAST_WORDS if grace else 0.0)
        for connection in list(self.connections):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _empty(self, patience: float, hurry: asyncio.Event | None = None) -> None:
        """Waits up to `patience` seconds until every connection is gone."""
        if not self.connections:
            return
        self._idle.clear()
        waiting = [self.loop.create_task(event.wait()) for event in (self._idle, hurry) if event is not None]
        await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()


def _date() -> bytes:
    return f"date: {formatdate(usegmt=True)}\r\n".encode("ascii")


def _remove_stale(path: str) -> None:
    """Removes a socket file that nobody listens on any more. Raises `OSError` when somebody does: asyncio would take it over."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE)
        try:
            probe.connect(path)
        except OSError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)


def listening_sockets(address: Address) -> tuple[list[socket.socket], str]:
    """Sockets that listen at `address`, for processes to share, and the address really bound. Blocking. Raises `OSError`."""
    if address.unix is None:
        sockets = bind(address.host, address.port)
        return sockets, str(address._replace(port=sockets[0].getsockname()[1]))
    _remove_stale(address.unix)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(address.unix)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return [listener], str(address)


def _inode(path: str) -> int:
    return os.stat(path).st_ino


def remove_own(path: str, inode: int) -> None:
    """Removes the file of our own socket, unless another stands in its place by now."""
    with suppress(FileNotFoundError):
        if _inode(path) == inode:
            os.unlink(path)


def tls_context(cert: str, key: str) -> ssl.SSLContext:
    """TLS for the listener, TLS 1.2 and newer, HTTP/1.1 only. Raises `OSError` (`ssl.SSLError` too) when the files do not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["http/1.1"])
    return context
