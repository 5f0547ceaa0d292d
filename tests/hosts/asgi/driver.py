"""An ASGI server of a few lines: one request, its messages given and taken by hand."""

from __future__ import annotations

import asyncio
from typing import Any

from wws.hosts.asgi.app import Asgi

__all__ = ["Exchange", "scope"]


def scope(path: str = "/", method: str = "GET", **extra: Any) -> dict[str, Any]:
    """An HTTP scope as uvicorn makes them; `headers` are added to Host."""
    fields = [(b"host", b"wws.test"), *extra.pop("headers", [])]
    path, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "headers": fields,
        "client": ("192.0.2.7", 40000),
        "server": ("wws.test", 80),
        **extra,
    }


class Exchange:
    """`await Exchange(app, scope, body...).run()`: the messages that were sent are in `sent`. `leave` disconnects."""

    def __init__(self, app: Asgi, scope: dict[str, Any], *body: bytes) -> None:
        self._app = app
        self._scope = scope
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for number, piece in enumerate(body or (b"",), 1):
            self._incoming.put_nowait({"type": "http.request", "body": piece, "more_body": number < len(body)})
        self.sent: list[dict[str, Any]] = []
        self.taking = asyncio.Event()
        """Cleared: the client takes nothing."""
        self.taking.set()
        self._sent = asyncio.Event()

    def leave(self) -> None:
        """The client hangs up."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def _send(self, message: dict[str, Any]) -> None:
        await self.taking.wait()
        self.sent.append(message)
        self._sent.set()

    async def has(self, size: int) -> None:
        """Waits until so many bytes of a body were sent."""
        while len(self.body) < size:
            self._sent.clear()
            await self._sent.wait()

    async def run(self) -> Exchange:
        """The exchange from its start to its end."""
        await self._app(self._scope, self._incoming.get, self._send)
        return self

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join([message.get("body", b"") for message in self.sent[1:]])

    @property
    def whole(self) -> bool:
        """Whether the end was sent."""
        return bool(self.sent) and self.sent[-1].get("more_body") is False
