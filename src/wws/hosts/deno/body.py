"""A request's body: read when somebody wants it, or handed to `fetch` unread, as the number of its request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from wws.errors import Refusal
from wws.hosts.deno.border import Border
from wws.http import Body

__all__ = ["DenoBody"]


_EARLY: Final = 64 * 1024
"""Bytes, `BODY` in `glue/border.ts`."""


class DenoBody(Body):
    """The body of the request with this number."""

    __slots__ = ("_border", "_read", "number")

    def __init__(self, border: Border, number: int, length: int | None) -> None:
        super().__init__()
        self.length = length
        self.number = number
        self._border = border
        self._read: bytes | None = None

    @property
    def early(self) -> bool:
        """Whether the glue reads it by itself: nobody else can then."""
        return self.length is not None and self.length <= _EARLY

    def ready(self) -> bytes | None:
        """The whole body once it is here: a short one is read by the glue before anybody asks."""
        if self._read is None and self.early:
            data = self._border.glue.ready(self.number)
            if data is not None:
                self._read = data.to_bytes()
        return self._read

    async def read(self, limit: int | None = None) -> bytes:
        """See `Body.read`. A longer body is refused from its announced length, or as soon as it is seen."""
        if limit is not None and (self.length or 0) > limit:
            raise _too_large(limit)
        if self.ready() is None:
            self._read = await self._whole(limit)
        data = self._read or b""
        if limit is not None and len(data) > limit:
            raise _too_large(limit)
        return data

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
        data: bytes | None = self.ready()
        if data is None and self.early:
            data = await self.read()
        if data is not None:
            if data:
                yield data
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
