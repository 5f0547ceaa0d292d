"""A small HTTP/1.1 client on blocking sockets: a probe, and the pieces that the load loops share."""

from __future__ import annotations

import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.errors import BenchError
from bench.wrk import Call

__all__ = ["Answer", "connect", "encode", "length_of", "probe"]


class Answer(NamedTuple):
    """Status, header fields by lower-case name, and body bytes (still chunked when they came chunked)."""

    status: int
    headers: dict[str, str]
    body: bytes


def encode(call: Call) -> bytes:
    """The request as bytes."""
    parts = urlsplit(call.url)
    target = parts.path or "/"
    lines = [f"{call.method} {target} HTTP/1.1", f"host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in call.all_headers().items()]
    if call.body:
        lines.append(f"content-length: {len(call.body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + call.body


def connect(call: Call, patience: float = 10.0) -> socket.socket:
    """A connection to the call's address, Nagle's algorithm off."""
    parts = urlsplit(call.url)
    assert parts.hostname is not None
    sock = socket.create_connection((parts.hostname, parts.port or 80), timeout=patience)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def length_of(data: bytes | bytearray) -> int | None:
    """How many bytes the answer at the start of `data` has, None while that cannot be said yet.

    Knows Content-Length and chunked answers whose last chunk ends the data; that is all that the parts of a run send.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(data[:end]).lower()
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        return end + 4 + int(head[at + 17 :].split(b"\r\n", 1)[0])
    if b"\r\ntransfer-encoding: chunked" in head:
        return len(data) if data.endswith(b"\r\n0\r\n\r\n") else None
    return end + 4


def _parse(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Answer(int(lines[0].split(" ", 2)[1]), headers, body)


def probe(call: Call, patience: float = 10.0) -> Answer:
    """Sends the call once. Raises `BenchError` when no whole answer comes or its status is not the expected one."""
    received = bytearray()
    try:
        with connect(call, patience) as sock:
            sock.sendall(encode(call))
            while (length := length_of(received)) is None or len(received) < length:
                data = sock.recv(65536)
                if not data:
                    raise BenchError(f"{call.url} closed before its answer was whole: {bytes(received[:200])!r}")
                received += data
    except OSError as error:
        raise BenchError(f"{call.url}: {error}") from error
    answer = _parse(bytes(received))
    if answer.status != call.status:
        raise BenchError(
            f"{call.method} {call.url} answers {answer.status} where {call.status} was expected: {answer.body[:300]!r}"
        )
    return answer
