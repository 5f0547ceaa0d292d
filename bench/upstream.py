"""The mock provider that streams: `python -m bench.upstream --port N --jwks FILE`.

It answers chat completions. Without `stream` one JSON answer; with it 60 tokens at once, or, for a model named by
`payload.paced_model` (or for all, with `--pace MODEL`), one event at a time at a fixed interval, each in its own write.
It stands in for the auth server too. Plain asyncio protocols on uvloop, so that its cost on the load's core stays small.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any, cast

import httptools
import uvloop

from bench.machine import LOAD_CORE, WORK
from bench.payload import CHAT_ANSWER, EVENT, LAST, chunked, read_model, stream_answer
from bench.process import Program, wait_listening
from bench.session import JWKS_PATH, USER, USER_PATH, Signer

__all__ = ["Mock", "start"]

_TOKENS = 60
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_WHOLE_STREAM = _STREAM_HEAD + chunked(stream_answer(_TOKENS)) + b"0\r\n\r\n"
_EVENT = chunked(EVENT)
_END = chunked(LAST) + b"0\r\n\r\n"


def _answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


_CHAT = _answer(CHAT_ANSWER)
_BAD = _answer(b'{"error":{"message":"not JSON","type":"invalid_request_error","param":null,"code":null}}', b"400 Bad Request")


class Mock(asyncio.Protocol):
    """One connection. `fixed` holds the whole answers by path, `pace` what a model asks for that names no pace itself."""

    def __init__(self, fixed: dict[bytes, bytes], pace: tuple[int, int] | None = None) -> None:
        self._fixed = fixed
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._path = b""
        self._body = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._writable = True
        self._left = 0
        self._interval = 0.0
        self._next = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    # the parser's callbacks
    def on_message_begin(self) -> None:
        self._path = b""
        self._body.clear()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        fixed = self._fixed.get(self._path)
        if fixed is not None:
            self._transport.write(fixed)
            return
        try:
            request: Any = json.loads(bytes(self._body) or b"{}")
            streamed = bool(request.get("stream"))
            paced = (read_model(str(request.get("model", ""))) or self._pace) if streamed else None
        except (ValueError, AttributeError):
            self._transport.write(_BAD)
            return
        if paced is not None:
            self._begin(*paced)
        else:
            self._transport.write(_WHOLE_STREAM if streamed else _CHAT)

    def _begin(self, events: int, every_ms: int) -> None:
        self._left = events
        self._interval = every_ms / 1000.0
        self._next = self._loop.time() + self._interval
        self._transport.write(_STREAM_HEAD)
        self._timer = self._loop.call_at(self._next, self._tick)

    def _tick(self) -> None:
        if self._left == 0:
            self._timer = None
            self._transport.write(_END)
            return
        if self._writable:  # a reader that is behind gets no event, so none piles up here
            self._left -= 1
            self._transport.write(_EVENT)
        self._next = max(self._next + self._interval, self._loop.time())
        self._timer = self._loop.call_at(self._next, self._tick)


async def _serve(port: int, jwks: bytes, pace: tuple[int, int] | None) -> None:
    fixed = {JWKS_PATH.encode(): _answer(jwks), USER_PATH.encode(): _answer(json.dumps(USER).encode())}
    server = await asyncio.get_running_loop().create_server(lambda: Mock(fixed, pace), "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


def start(port: int, signer: Signer, pace: str = "") -> Program:
    """Starts the mock in its own process on the load's core, and waits until it listens.

    `pace`, a name made by `payload.paced_model`, is for callers that cannot choose the model's name.
    """
    folder = WORK / "streams"
    folder.mkdir(parents=True, exist_ok=True)
    jwks = folder / "jwks.json"
    jwks.write_text(json.dumps(signer.jwks))
    command = [sys.executable, "-m", "bench.upstream", "--port", str(port), "--jwks", str(jwks), "--pace", pace]
    program = Program("stream mock", LOAD_CORE, command, folder / "out.log")
    try:
        wait_listening(program, port)
    except BaseException:
        program.stop()
        raise
    return program


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.upstream")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--jwks", type=Path, required=True)
    parser.add_argument("--pace", default="")
    options = parser.parse_args()
    uvloop.run(_serve(options.port, options.jwks.read_bytes(), read_model(options.pace)))


if __name__ == "__main__":
    main()
