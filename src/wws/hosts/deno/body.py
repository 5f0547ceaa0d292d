"""A request's body: read when somebody wants it, or handed to `fetch` unread, as the number of its request."""

from __future__ import annotations

from collections.abc import AsyncIterator

from wws.errors import Refusal
from wws.hosts.deno.border import Border
from wws.http import Body

__all__ = ["DenoBody"]


class DenoBody(Body):
    """The body of the request with this number."""

    __slots__ = ("_border", "_read", "number")

    def __init__(self, border: Border, number: int, length: int | None) -> None:
        super().__init__()
        self.length = length
        self.number = number
        self._border = border
        self._read: bytes | None = None

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
            status, _, data = await self._border.ask(self._border.glue.body, self.number)
            if status < 0:
                raise Refusal("client_closed")
            return data or b""
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
        while True:
            status, _, data = await self._border.ask(self._border.glue.piece, self.number)
            if status < 0:
                raise Refusal("client_closed")
            if not status:
                return
            yield data or b""


def _too_large(limit: int) -> Refusal:
    return Refusal("body_too_large", f"The body is larger than the {limit} bytes allowed here.")
