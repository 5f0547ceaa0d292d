"""Listening sockets that several processes share.

They are bound once, before the workers are forked, and every worker accepts from the same queue. So a connection that waits
there is lost with no worker: another takes it. With one SO_REUSEPORT socket for each worker the kernel would deal
connections out to queues of their own, and those in the queue of a dead or stuck worker would wait for it alone.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import mmap
import os
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

__all__ = ["BACKLOG", "Acceptor", "Crowd", "bind"]

BACKLOG = 2048
"""Connections that may wait to be accepted: uvicorn's."""
DEFER = 0.005
"""Seconds that a worker with more connections than another leaves a new one to the others."""
SLACK = 2
"""Connections that one worker may be ahead of another, and one eighth of those there are (nginx's `ngx_accept_disabled`)."""
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PAUSE = 1.0
"""Seconds without accepting when there are no file descriptors left; asyncio's own."""
_GONE = 0xFFFFFFFF
_SEAT = struct.Struct("=I")
_log = logging.getLogger("wws.server")


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of `host`; port 0 is the same one on all. Raises `OSError`."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address[0], port, *address[2:]))
            port = listener.getsockname()[1]
            listener.listen(BACKLOG)
            listener.setblocking(False)
    except BaseException:
        for listener in sockets:
            listener.close()
        raise
    return sockets


class Crowd:
    """How many connections each process has, in memory that they share. Made before they are forked."""

    __slots__ = ("_memory", "seats")

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self._memory = mmap.mmap(-1, seats * _SEAT.size)
        for seat in range(seats):
            self.leave(seat)

    def set(self, seat: int, count: int) -> None:
        """The process at `seat` has `count` connections."""
        _SEAT.pack_into(self._memory, seat * _SEAT.size, min(count, _GONE - 1))

    def leave(self, seat: int) -> None:
        """Nobody sits there any more."""
        _SEAT.pack_into(self._memory, seat * _SEAT.size, _GONE)

    def ahead(self, seat: int) -> bool:
        """Whether the process at `seat` has clearly more than another."""
        counts: list[int] = [count for (count,) in _SEAT.iter_unpack(self._memory[:])]
        mine = counts[seat]
        least = min(counts)
        return mine != _GONE and mine > least + SLACK + least // 8


class Acceptor:
    """Accepts from one shared queue, one connection in each turn of the event loop, so that others have theirs."""

    __slots__ = ("_arriving", "_count", "_crowd", "_loop", "_make", "_options", "_seat", "_socket", "_timer")

    def __init__(
        self,
        listener: socket.socket,
        loop: asyncio.AbstractEventLoop,
        make: Callable[[], Any],
        *,
        crowd: Crowd,
        seat: int,
        count: Callable[[], int],
        tls: ssl.SSLContext | None = None,
        handshake: float | None = None,
    ) -> None:
        listener.setblocking(False)
        self._socket = listener
        self._loop = loop
        self._make = make
        self._crowd = crowd
        self._seat = seat
        self._count = count
        self._options: dict[str, Any] = {} if tls is None else {"ssl": tls, "ssl_handshake_timeout": handshake}
        self._timer: asyncio.TimerHandle | None = None
        self._arriving: set[asyncio.Task[Any]] = set()
        loop.add_reader(listener.fileno(), self._ready)

    def _ready(self) -> None:
        """A connection waits."""
        self._crowd.set(self._seat, self._count() + len(self._arriving))
        if self._crowd.ahead(self._seat):
            self._wait(DEFER)
        else:
            self._accept()

    def _wait(self, seconds: float) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._timer = self._loop.call_later(seconds, self._again)

    def _again(self) -> None:
        """Whoever else there is did not take it: it is not to wait any longer."""
        self._timer = None
        self._loop.add_reader(self._socket.fileno(), self._ready)
        self._accept()

    def _accept(self) -> bool:
        try:
            accepted, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            _log.error("cannot accept connections: %s", error.strerror)
            if self._timer is None:
                self._wait(PAUSE)
            return False
        admit(accepted, self._loop, self._make, self._options, self._arriving)
        self._crowd.set(self._seat, self._count() + len(self._arriving))
        return True

    async def close(self) -> None:
        """Accepts what waits, and no more."""
        self._loop.remove_reader(self._socket.fileno())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._accept():
            pass
        self._socket.close()
        if self._arriving:
            await asyncio.wait(self._arriving)


def admit(
    accepted: socket.socket,
    loop: asyncio.AbstractEventLoop,
    make: Callable[[], Any],
    options: dict[str, Any],
    arriving: set[asyncio.Task[Any]],
) -> None:
    """Makes a connection of a socket that was accepted by hand; its task is in `arriving` until it stands."""
    accepted.setblocking(False)
    if accepted.family != socket.AF_UNIX:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    task = loop.create_task(loop.connect_accepted_socket(make, accepted, **options))
    arriving.add(task)

    def arrived(task: asyncio.Task[Any]) -> None:
        arriving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, OSError):
            _log.error("a connection could not be set up", exc_info=error)  # OSError: it was gone, or spoke no TLS

    task.add_done_callback(arrived)


async def accept_the_rest(
    descriptors: list[int], loop: asyncio.AbstractEventLoop, make: Callable[[], Any], options: dict[str, Any]
) -> None:
    """Takes the connections that still wait at listening sockets, which are closed: closing alone would reset them."""
    arriving: set[asyncio.Task[Any]] = set()
    for descriptor in descriptors:
        with socket.socket(fileno=descriptor) as listener:
            listener.setblocking(False)
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    break
                admit(accepted, loop, make, options, arriving)
    if arriving:
        await asyncio.wait(arriving)


def duplicates(server: asyncio.AbstractServer) -> list[int]:
    """Descriptors that keep a server's sockets listening when it closes its own."""
    return [os.dup(listener.fileno()) for listener in getattr(server, "sockets", ())]
