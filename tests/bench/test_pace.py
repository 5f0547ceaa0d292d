"""The open loop: percentiles, and lateness that is charged to the server."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import pace
from bench.errors import BenchError
from bench.pace import percentile
from bench.wrk import Call

_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_percentile_is_the_nearest_rank(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found == ordered[max(1, math.ceil(len(ordered) * round(share * 1000) / 1000)) - 1]
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-9


def test_percentiles_of_a_hundred() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.5, 0.95, 0.99)] == [50.0, 95.0, 99.0]


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def _answer_each(connection: socket.socket, answer: bytes, pause: list[float]) -> None:
    with connection:
        while True:
            try:
                data = connection.recv(65536)
            except OSError:
                return
            if not data:
                return
            if pause:
                time.sleep(pause.pop())
            connection.sendall(answer)


@contextmanager
def _server(answer: bytes = _OK, stall: float = 0.0) -> Iterator[str]:
    """A server with a thread for each connection; the very first request that comes is held for `stall` seconds."""
    pause = [stall] if stall else []
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_answer_each, args=(connection, answer, pause), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_every_request_is_sent_and_answered() -> None:
    with _server() as url:
        latency = pace.run(Call(url, method="GET"), rate=500, seconds=0.4, connections=4)
    assert latency.requests == 200
    assert 0 < latency.p50 <= latency.p95 <= latency.p99


def test_requests_that_wait_for_a_stalled_server_are_charged_from_when_they_were_due() -> None:
    """One connection, one stall of 0.2 s at 500 requests/s: about 100 requests were due meanwhile, 0.1 s late in the middle."""
    with _server(stall=0.2) as url:
        latency = pace.run(Call(url, method="GET"), rate=500, seconds=0.2, connections=1)
    assert latency.requests == 100
    assert latency.p99 >= 0.15
    assert latency.p50 >= 0.05


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", b"nonsense\r\n\r\n"])
def test_a_wrong_answer_is_no_figure(answer: bytes) -> None:
    with _server(answer) as url, pytest.raises(BenchError, match="unexpected answer"):
        pace.run(Call(url, method="GET"), rate=100, seconds=0.1, connections=2)


def test_answers_that_never_come_end_the_run() -> None:
    with _server(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n") as url, pytest.raises(BenchError, match="have no answer"):
        pace.run(Call(url, method="GET"), rate=100, seconds=0.1, connections=2, patience=0.2)


def test_no_server_is_an_error_of_the_benchmark() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        pace.run(Call(f"http://127.0.0.1:{port}/", method="GET"), rate=100, seconds=0.1, connections=1)
