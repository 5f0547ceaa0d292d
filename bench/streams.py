"""Many open event streams read by one loop: counts events, so that a server's CPU can be divided by them."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from types import TracebackType

from bench.client import connect, encode
from bench.errors import BenchError
from bench.wrk import Call

__all__ = ["Streams"]

_HEAD_LIMIT = 65536


class Streams:
    """`count` streams of the same call, opened together and closed on leaving. `events` grows while `read` runs."""

    def __init__(self, call: Call, count: int) -> None:
        self._call = call
        self._count = count
        self._socks: dict[int, socket.socket] = {}
        self._heads: dict[int, bytes] = {}
        self._poll = select.epoll()
        self.events = 0
        self.started = 0

    def __enter__(self) -> Streams:
        request = encode(self._call)
        try:
            for _ in range(self._count):
                sock = connect(self._call)
                self._socks[sock.fileno()] = sock
                self._heads[sock.fileno()] = b""
                sock.sendall(request)
                sock.setblocking(False)
                self._poll.register(sock.fileno(), select.EPOLLIN)
        except OSError as error:
            self._close()
            raise BenchError(f"{self._call.url}: {error}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def _close(self) -> None:
        self._poll.close()
        for sock in self._socks.values():
            sock.close()
        self._socks.clear()

    def read(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Reads for so long, or until the condition holds. Raises `BenchError` when a stream is refused or ends."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not (until is not None and until()):
            for fd, _ in self._poll.poll(min(left, 0.2)):
                self._take(fd)

    def wait_open(self, patience: float = 20.0) -> None:
        """Reads until every stream has sent the end of its header."""
        self.read(patience, lambda: self.started == self._count)
        if self.started != self._count:
            raise BenchError(f"{self._call.url}: {self.started} of {self._count} streams opened")

    def _take(self, fd: int) -> None:
        try:
            data = self._socks[fd].recv(65536)
        except OSError as error:
            raise BenchError(f"{self._call.url}: {error}") from error
        if not data:
            raise BenchError(f"{self._call.url}: a stream ended early")
        if fd in self._heads:
            data = self._heads[fd] + data
            end = data.find(b"\r\n\r\n")
            if end < 0 and len(data) < _HEAD_LIMIT:
                self._heads[fd] = data
                return
            if not data.startswith(b"HTTP/1.1 200") or b"text/event-stream" not in data[:end].lower():
                status, body = data.split(b"\r\n", 1)[0], data[end + 4 :][:200]
                raise BenchError(f"{self._call.url} is not a stream: {status.decode('latin-1')}, {body.decode('latin-1')}")
            del self._heads[fd]
            self.started += 1
            data = data[end + 4 :]
        self.events += data.count(b"data: {")
