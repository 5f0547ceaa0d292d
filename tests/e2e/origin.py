"""A stand-in for the web application behind the gateway: it counts, tells what it was told, and never answers the same twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import NamedTuple


class Seen(NamedTuple):
    """One request as the origin received it; header names in lower case, repeated fields joined."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Origin:
    """Every answer is JSON: `{"path", "user", "number", "method"}`, `number` counting the requests for the path.

    `headers` are added to every answer, and `padding` letters to its body. While `held` is set, answers wait for `release()`.
    """

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.requests: list[Seen] = []
        self.numbers: Counter[str] = Counter()
        self.headers: dict[str, str] = {}
        self.padding = 0
        self.held = False
        self._gate = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        """As at the start."""
        self.requests.clear()
        self.numbers.clear()
        self.headers = {}
        self.padding = 0
        self.held = False
        self._gate = asyncio.Event()

    def release(self) -> None:
        """Lets held answers go. To be called in the origin's own event loop."""
        self.held = False
        self._gate.set()

    async def start(self, port: int = 0) -> None:
        """Listens, on the `port` of before when it was stopped."""
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                seen = await _read(reader)
                self.requests.append(seen)
                writer.write(await self._answer(seen))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the gateway has closed the connection
        except asyncio.CancelledError:
            if self._server is None or self._server.is_serving():
                raise
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, seen: Seen) -> bytes:
        path = seen.target.partition("?")[0]
        self.numbers[path] += 1
        number = self.numbers[path]
        if self.held:
            await self._gate.wait()
        told = {"path": path, "user": seen.headers.get("x-user-id"), "number": number, "method": seen.method}
        if self.padding:
            told["padding"] = "x" * self.padding
        body = json.dumps(told).encode()
        fields = {"content-type": "application/json", "content-length": str(len(body)), **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + (b"" if seen.method == "HEAD" else body)


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.split("\r\n")[:-2]
    method, target, _ = line.split(" ")
    headers: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, target, headers, body)
