"""A request's body: read when somebody wants it, or handed to `fetch` unread, as the number of its request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from wws.errors import Refusal
from wws.hosts.deno.border import Border
from wws.hosts.edge.body import HeldBody

__all__ = ["DenoBody"]


_EARLY: Final = 64 * 1024
"""Bytes, `BODY` in `glue/border.ts`."""


class DenoBody(HeldBody):
    """The body of the request with this number."""

    __slots__ = ("_border", "number")

    def __init__(self, border: Border, number: int, length: int | None) -> None:
        super().__init__(length)
        self.number = number
        self._border = border

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

    async def _all(self) -> bytes:
        _, data = await self._asked(self._border.glue.body)
        return data

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `Body.chunks`."""
        data = self.ready()
        if data is None and self.early:
            data = await self.read()
        if data is not None:
            if data:
                yield data
            return
        while (step := await self._asked(self._border.glue.piece))[0]:
            yield step[1]

    async def _asked(self, what: Any) -> tuple[int, bytes]:
        """What the glue gives: its status, 0 at the end, and bytes."""
        status, _, data = await self._border.ask(what, self.number)
        if status < 0:
            raise Refusal("client_closed")
        return status, data or b""
