"""A request as ASGI tells of it: the head from the scope, the body and the client's leaving from `receive`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from wws.core.wire import head as rules
from wws.core.wire.address import Network, client_address
from wws.errors import Refusal
from wws.hosts.server.incoming import IncomingBody
from wws.http import Body, Headers, Pair, Request

__all__ = ["Arrived", "Inbox", "Receive", "Scope", "read_head"]

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]

_NO_BODY: Final = Body()
_OLD: Final = frozenset({"1.0", "1.1"})


class Arrived(NamedTuple):
    """A request without its body yet, and that body's length (None: not known).

    `framed` is True where the head says whether there is a body, as in HTTP/1.1; else the first message does.
    """

    request: Request
    length: int | None
    framed: bool


class Inbox:
    """Receives what a client sends after the head: its body, when somebody wants it, and that it has gone.

    `leaves` is called once when the client is gone before `close`.
    """

    def __init__(self, receive: Receive, leaves: Callable[[], None]) -> None:
        self._receive = receive
        self._leaves = leaves
        self._loop = asyncio.get_running_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._task: asyncio.Task[None] | None = None
        self._body: IncomingBody | None = None
        self._dropped = False
        self._closed = False

    async def body(self, length: int | None, framed: bool) -> Body:
        """The request's body; see `Arrived`. Raises `Refusal` with `client_closed`."""
        if framed and length == 0:
            self.watch()
            return _NO_BODY
        if not framed and length is None:
            first = await self._receive()
            if first["type"] == "http.disconnect":
                raise Refusal("client_closed")
            if not first.get("more_body", False):
                self.watch()
                return Body(first.get("body", b""))
            self._body = IncomingBody(self._loop, None, self._flow, self.watch)
            self._body.feed(first.get("body", b""))
            return self._body
        # Nothing is received before somebody wants it: servers send `100 Continue` at that moment.
        self._body = IncomingBody(self._loop, length, self._flow, self.watch)
        return self._body

    def _flow(self, on: bool) -> None:
        if on:
            self._flowing.set()
        else:
            self._flowing.clear()

    def watch(self) -> None:
        """Receives from now on."""
        if self._task is None:
            self._task = self._loop.create_task(self._follow())

    def drop(self) -> None:
        """Nobody wants what is left of the body: it is thrown away, and only the client's leaving matters."""
        self._dropped = True
        self._flowing.set()
        self.watch()

    async def _follow(self) -> None:
        while True:
            await self._flowing.wait()
            message = await self._receive()
            body = self._body
            if message["type"] == "http.disconnect":
                if body is not None:
                    body.fail(Refusal("client_closed"))
                if not self._closed:
                    self._leaves()
                return
            if body is None or body.complete:
                continue
            data = message.get("body", b"")
            if data and not self._dropped:
                body.feed(data)
            if not message.get("more_body", False):
                body.finish()

    async def close(self) -> None:
        """Receives no more."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


def read_head(scope: Scope, proxies: tuple[Network, ...]) -> Arrived | rules.Refused:
    """The request of a scope, or why it is refused.

    The same rules as on our own sockets: a server may let through what another hop would read in another way.
    """
    version = str(scope.get("http_version", "1.1"))
    fields: list[Pair] = [(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]]
    first = dict(fields)
    method = scope["method"].encode("ascii")
    checked = rules.check(version if version in _OLD else "1.1", method, _target(scope), fields, first)
    if isinstance(checked, rules.Refused):
        return checked
    framed = version in _OLD or b"content-length" in first
    length = checked.length if framed else None
    client = scope.get("client")
    peer = str(client[0]) if client else ""
    forwarded = [value.decode("latin-1") for name, value in fields if name == b"x-forwarded-for"]
    request = Request(
        scope["method"],
        checked.target,
        Headers.trusted(fields, first),
        _NO_BODY,
        authority=checked.authority,
        scheme=scope.get("scheme", "http"),
        client=client_address(peer, forwarded, proxies),
    )
    return Arrived(request, length, framed)


def _target(scope: Scope) -> bytes:
    """Path and query as received; below the path that an application mounts us at, where there is one."""
    raw = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
    root = quote(scope.get("root_path", "")).encode("ascii").rstrip(b"/")
    if root and (raw == root or raw.startswith(root + b"/")):
        raw = raw[len(root) :] or b"/"
    query = scope.get("query_string", b"")
    return bytes(raw) + b"?" + bytes(query) if query else bytes(raw)
