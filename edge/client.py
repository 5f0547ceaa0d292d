"""A client that costs little: what it takes itself would be told as the gateway's."""

from __future__ import annotations

import json
import socket
import statistics
import time
from urllib.parse import urlsplit

__all__ = ["ASKED", "ROUNDS", "WARM", "YOUNG", "Client", "delays", "p50", "young"]

ROUNDS, ASKED = 40, 25
WARM = 2000
"""Exchanges of a kind before it is measured: until then V8 is still compiling what Python is made of."""
YOUNG = 500


class Client:
    """One kept connection to the address `url`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._authority = parts.netloc
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80), 30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Ends it."""
        self._socket.close()

    def request(self, target: str, token: str | None = None, body: object = None) -> bytes:
        """A GET, or a POST with JSON, as it is sent."""
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{'GET' if body is None else 'POST'} {target} HTTP/1.1", f"Host: {self._authority}"]
        lines += [] if token is None else [f"Authorization: Bearer {token}"]
        lines += [] if body is None else ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        return "\r\n".join([*lines, "", ""]).encode() + data

    def ask(self, request: bytes, status: int) -> bytes:
        """The body of the answer, which has `status`. Raises `RuntimeError` for another."""
        self._socket.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(data)
        head, _, body = data.partition(b"\r\n\r\n")
        if head.split(b" ", 2)[1] != b"%d" % status:
            raise RuntimeError(f"not {status}: {head.decode('latin-1')}\n{body[:400].decode(errors='replace')}")
        fields = head.lower()
        if b"content-length:" in fields:
            size = int(fields.partition(b"content-length:")[2].partition(b"\r\n")[0])
            while len(body) < size:
                body += self._more(body)
        else:
            while not body.endswith(b"0\r\n\r\n"):
                body += self._more(body)
        return body

    def _more(self, before: bytes) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise RuntimeError(f"the connection has ended after {before[-200:]!r}")
        return data

    def pieces(self, request: bytes) -> list[tuple[float, bytes]]:
        """What arrives until the stream's end mark, and when (monotonic)."""
        self._socket.sendall(request)
        found: list[tuple[float, bytes]] = []
        seen = b""
        while b"data: [DONE]" not in seen:
            piece = self._more(seen)
            found.append((time.monotonic(), piece))
            seen = seen[-32:] + piece
        return found


def p50(url: str, target: str, token: str | None, body: object, status: int = 200) -> float:
    """Milliseconds of an exchange, one at a time: the median of a round, of the best round."""
    client = Client(url)
    request = client.request(target, token, body)
    for _ in range(WARM):
        client.ask(request, status)
    rounds = [_median(client, request, status, ASKED) for _ in range(ROUNDS)]
    client.close()
    return min(rounds)


def young(url: str, target: str, token: str | None, body: object) -> float:
    """`p50` of the first ones, whatever they are."""
    client = Client(url)
    median = _median(client, client.request(target, token, body), 200, YOUNG)
    client.close()
    return median


def _median(client: Client, request: bytes, status: int, asked: int) -> float:
    took = []
    for _ in range(asked):
        started = time.perf_counter()
        client.ask(request, status)
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


def delays(url: str, target: str, token: str | None, body: object) -> list[float]:
    """Milliseconds that each event of a stream took to come, but the first, for which the answer itself is begun.

    The words of its events are the moments (monotonic) at which they are sent.
    """
    client = Client(url)
    took, waiting = [], b""
    for now, piece in client.pieces(client.request(target, token, body)):
        *events, waiting = (waiting + piece).split(b"\n\n")
        for event in events:
            _, mark, data = event.partition(b"data: {")
            if mark:
                took.append((now - float(json.loads(b"{" + data)["choices"][0]["delta"]["content"])) * 1000)
    client.close()
    return took[1:]
