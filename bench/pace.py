"""Open loop: requests leave at a constant rate whether or not answers came, and each is timed from when it was due.

So a server that stalls is charged for every request that should have been sent meanwhile (coordinated omission). The
kernel's timerfd gives the beat: event loops round to the millisecond, which is twenty times what is measured here.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import time
from collections import deque
from typing import NamedTuple

from bench.client import connect, encode, length_of
from bench.errors import BenchError
from bench.wrk import Call

__all__ = ["Latency", "percentile", "run"]


class Latency(NamedTuple):
    """Latencies of one run in seconds."""

    requests: int
    p50: float
    p95: float
    p99: float


def percentile(ordered: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (nearest rank)."""
    if not ordered:
        raise ValueError("no values")
    rank = max(1, -(-len(ordered) * round(share * 1000) // 1000))
    return ordered[rank - 1]


class _Spec(ctypes.Structure):
    """struct itimerspec: interval, then first expiration, each seconds and nanoseconds."""

    _fields_ = [
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("first_s", ctypes.c_long),
        ("first_ns", ctypes.c_long),
    ]


_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _timer(start: float, interval: float) -> int:
    """A timerfd that first expires at monotonic time `start` and then every `interval` seconds (timerfd_create(2))."""
    fd: int = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    step, first = round(interval * 1e9), round(start * 1e9)
    spec = _Spec(step // 10**9, step % 10**9, first // 10**9, first % 10**9)
    if _libc.timerfd_settime(fd, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None) < 0:
        number = ctypes.get_errno()
        os.close(fd)
        raise OSError(number, "timerfd_settime")
    return fd


class _Loop:
    """The state of one run: free connections, requests under way with the time each was due, and those that wait."""

    def __init__(self, call: Call, connections: int) -> None:
        self.request = encode(call)
        self.expected = b"HTTP/1.1 %d" % call.status
        self.socks = {sock.fileno(): sock for sock in (connect(call) for _ in range(connections))}
        for sock in self.socks.values():
            sock.setblocking(False)
        self.free = list(self.socks.values())
        self.due: dict[int, float] = {}
        self.partial: dict[int, bytearray] = {}
        self.waiting: deque[float] = deque()
        self.latencies: list[float] = []

    def send(self, due: float) -> None:
        if not self.free:
            self.waiting.append(due)
            return
        sock = self.free.pop()
        if sock.send(self.request) != len(self.request):
            raise BenchError("the socket buffer does not hold one request")
        self.due[sock.fileno()] = due

    def receive(self, fd: int) -> None:
        sock = self.socks[fd]
        data: bytes | bytearray = sock.recv(262144)
        now = time.monotonic()
        if not data or fd not in self.due:
            raise BenchError("the server closed a connection, or sent what was not asked for")
        if fd in self.partial:
            self.partial[fd] += data
            data = self.partial[fd]
        length = length_of(data)
        if length is None or len(data) < length:
            self.partial[fd] = bytearray(data)
            return
        if not data.startswith(self.expected):
            raise BenchError(f"unexpected answer: {bytes(data[:200])!r}")
        self.partial.pop(fd, None)
        self.latencies.append(now - self.due.pop(fd))
        self.free.append(sock)
        if self.waiting:
            self.send(self.waiting.popleft())

    def close(self) -> None:
        for sock in self.socks.values():
            sock.close()


def _drive(loop: _Loop, rate: int, total: int, patience: float) -> None:
    interval = 1.0 / rate
    start = time.monotonic() + 0.01
    timer = _timer(start, interval)
    poll = select.epoll()
    try:
        poll.register(timer, select.EPOLLIN)
        for fd in loop.socks:
            poll.register(fd, select.EPOLLIN)
        sent, ticking = 0, True
        last = start + total * interval + patience
        while sent < total or loop.due or loop.waiting:
            if time.monotonic() > last:
                raise BenchError(f"{len(loop.due) + len(loop.waiting)} of {total} requests have no answer")
            for fd, _ in poll.poll(0.5):
                if fd != timer:
                    loop.receive(fd)
                    continue
                for _ in range(min(int.from_bytes(os.read(timer, 8), "little"), total - sent)):
                    loop.send(start + sent * interval)
                    sent += 1
            if sent == total and ticking:
                poll.unregister(timer)
                ticking = False
    finally:
        poll.close()
        os.close(timer)


def run(call: Call, rate: int = 1000, seconds: float = 5.0, connections: int = 64, patience: float = 10.0) -> Latency:
    """One run of `rate * seconds` requests. Raises `BenchError` when an answer is wrong or missing."""
    loop = _Loop(call, connections)
    gc.collect()
    gc.disable()  # a collection of ours would be charged to the server
    try:
        _drive(loop, rate, round(rate * seconds), patience)
    except OSError as error:
        raise BenchError(f"{call.url}: {error}") from error
    finally:
        gc.enable()
        loop.close()
    ordered = sorted(loop.latencies)
    return Latency(len(ordered), percentile(ordered, 0.50), percentile(ordered, 0.95), percentile(ordered, 0.99))
