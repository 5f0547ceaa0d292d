"""A request's body at the edge: read when somebody wants it, or handed to `fetch` as the stream it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from wws.errors import Refusal
from wws.hosts.edge.web import Web
from wws.http import Body

__all__ = ["EdgeBody"]


class EdgeBody(Body):
    """The body of a JavaScript `Request`. `handle` is its stream, for whoever sends it on unread; None once it was read."""

    __slots__ = ("_read", "_request", "_web")

    def __init__(self, web: Web, request: Any, length: int | None) -> None:
        super().__init__()
        self.length = length
        self._web = web
        self._request = request
        self._read: bytes | None = None

    @property
    def handle(self) -> Any | None:
        """The stream of a body that nobody has read."""
        return None if self._read is not None else self._web.present(self._request.body)

    def ready(self) -> bytes | None:
        """The whole body once it was read."""
        return self._read

    async def read(self, limit: int | None = None) -> bytes:
        """See `Body.read`. A longer body is refused from its announced length, or as soon as it is seen."""
        if limit is not None and (self.length or 0) > limit:
            raise _too_large(limit)
        if self._read is None:
            self._read = await self._whole(limit)
        if limit is not None and len(self._read) > limit:
            raise _too_large(limit)
        return self._read

    async def _whole(self, limit: int | None) -> bytes:
        if self.length is not None or limit is None:
            try:
                return self._web.data(await self._request.arrayBuffer())
            except self._web.ffi.JsException:
                raise Refusal("client_closed") from None
        pieces, size = [], 0
        async for piece in self.chunks():
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
        return b"".join(pieces)

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


def _too_large(limit: int) -> Refusal:
    return Refusal("body_too_large", f"The body is larger than the {limit} bytes allowed here.")
