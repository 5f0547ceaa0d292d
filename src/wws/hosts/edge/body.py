"""A request's body at the edge: read when somebody wants it, or handed to `fetch` as the stream it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from wws.errors import Refusal
from wws.hosts.edge.web import Web
from wws.http import Body, body_too_large

__all__ = ["EdgeBody", "HeldBody"]


class HeldBody(Body):
    """A body that the platform holds until somebody wants it, and that is kept here once it was read."""

    __slots__ = ("_read",)

    def __init__(self, length: int | None) -> None:
        super().__init__()
        self.length = length
        self._read: bytes | None = None

    def ready(self) -> bytes | None:
        """The whole body once it was read."""
        return self._read

    async def read(self, limit: int | None = None) -> bytes:
        """See `Body.read`. A longer body is refused from its announced length, or as soon as it is seen."""
        if limit is not None and (self.length or 0) > limit:
            raise body_too_large(limit)
        data = self.ready()
        if data is None:
            whole = self.length is not None or limit is None
            data = self._read = await (self._all() if whole else self._gathered(limit))
        if limit is not None and len(data) > limit:
            raise body_too_large(limit)
        return data

    async def _all(self) -> bytes:
        """The whole body, in one step where the platform has one."""
        return await self._gathered(None)

    async def _gathered(self, limit: int | None) -> bytes:
        pieces, size = [], 0
        async for piece in self.chunks():
            pieces.append(piece)
            size += len(piece)
            if limit is not None and size > limit:
                raise body_too_large(limit)
        return b"".join(pieces)


class EdgeBody(HeldBody):
    """The body of a JavaScript `Request`. `handle` is its stream, for whoever sends it on unread; None once it was read."""

    __slots__ = ("_request", "_web")

    def __init__(self, web: Web, request: Any, length: int | None) -> None:
        super().__init__(length)
        self._web = web
        self._request = request

    @property
    def handle(self) -> Any | None:
        """The stream of a body that nobody has read."""
        return None if self._read is not None else self._web.present(self._request.body)

    async def _all(self) -> bytes:
        try:
            return self._web.data(await self._request.arrayBuffer())
        except self._web.ffi.JsException:
            raise Refusal("client_closed") from None

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `Body.chunks`."""
        if self._read is not None:
            if self._read:
                yield self._read
            return
        handle = self.handle
        if handle is None:
            return
        reader = handle.getReader()
        try:
            while not (step := await reader.read()).done:
                yield self._web.data(step.value)
        except self._web.ffi.JsException:
            raise Refusal("client_closed") from None
