"""`Dial` by Deno's `fetch`, across the border: one crossing for a request, one for the head of its answer, one for each piece.

`fetch` does not tell connecting from waiting: the time to the head of an answer is `connect` and `first_byte` together. Whether
anything of a failed request was sent is not told either, so it counts as sent.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Final

from wws.bindings import Endpoint
from wws.core.policy import Timeouts
from wws.errors import ConnectFailed, UpstreamCut, UpstreamMalformed, UpstreamTimeout
from wws.hosts.deno.body import DenoBody
from wws.hosts.deno.border import CUT, LATE, SLOW, Border, fields, lines
from wws.hosts.edge.dial import failed
from wws.hosts.edge.stream import BrokenOff, FetchStream
from wws.http import Body, Headers, Pair, Response

__all__ = ["DenoDial", "Source"]

_BODILESS: Final = frozenset({"GET", "HEAD"})
_LAST: Final = 2
"""The status of a piece after which nothing comes."""
_LONGEST: Final = float(2**31 - 1)
"""Milliseconds: a longer `setTimeout` rings at once (HTML, section 8.7)."""


class DenoDial:
    """`bindings.Dial`; nothing is followed, nothing is cached by the platform."""

    __slots__ = ("_border", "_send")

    def __init__(self, border: Border) -> None:
        self._border = border
        self._send = border.glue.send

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: list[Pair],
        body: bytes | Body,
        timeouts: Timeouts,
        deadline: float | None = None,
    ) -> Response:
        """See `wws.bindings.Dial`."""
        if endpoint.unix is not None:
            raise ConnectFailed("there are no sockets here: http+unix addresses are for the self-hosted server")
        border = self._border
        now = asyncio.get_running_loop().time()
        end = inf if deadline is None else deadline
        if end <= now:
            raise UpstreamTimeout("total")
        wait = min(timeouts.connect + timeouts.first_byte, end - now)
        data, source = None, 0
        if method not in _BODILESS:
            whole = body if isinstance(body, bytes) else body.ready()
            if whole:
                data = border.octets(whole)
            elif whole is None and isinstance(body, DenoBody):
                if body.early:
                    data = border.octets(await body.read())
                else:
                    source = body.number
        number, told = border.wait()
        url = f"{endpoint.scheme}://{endpoint.authority}{target}"
        self._send(
            number, method, url, lines(headers), data, source,
            min(wait * 1000, _LONGEST), min(timeouts.idle * 1000, _LONGEST), timeouts.gather * 1000,
        )  # fmt: skip
        try:
            status, head, content = await told
        except asyncio.CancelledError:
            border.glue.stop(number)
            raise
        if status < 0:
            raise _failed(status, head, now + wait >= end)
        response = self._response(number, status, fields(head), content)
        if content is None:
            response.body = FetchStream(Source(border, number), timeouts.idle, end)
        return response

    def _response(self, number: int, status: int, head: list[Pair], content: bytes | None) -> Response:
        response = Response(content or b"", status, Headers.trusted(head))
        if not 200 <= status <= 999:
            self._border.glue.stop(number)
            raise UpstreamMalformed("no such status")
        first = response.headers.first
        length = first.get(b"content-length")
        if length is not None and length.isdigit() and b"content-encoding" not in first:  # else `fetch` has decoded the body
            response.length = int(length)
        if content:
            response.length = None
        return response


class Source:
    """The body of an exchange: see `wws.hosts.edge.stream.Source`. `handle` is the exchange's number."""

    __slots__ = ("_border", "_last", "_read", "handle")

    def __init__(self, border: Border, number: int) -> None:
        self._border = border
        self._read = border.glue.read
        self._last = False
        self.handle = number

    async def read(self) -> bytes | None:
        """See `Source`."""
        if self._last:
            return None
        status, _, data = await self._border.ask(self._read, self.handle)
        if status < 0:
            raise BrokenOff
        self._last = status == _LAST
        return data if status else None

    def stop(self) -> None:
        """See `Source`."""
        self._border.glue.stop(self.handle)


def _failed(status: int, words: str, last: bool) -> ConnectFailed | UpstreamCut | UpstreamTimeout:
    if status == LATE:
        return UpstreamTimeout("total" if last else "first_byte")
    if status == SLOW:
        return UpstreamTimeout("idle")
    if status == CUT:
        return UpstreamCut("the body ended early", answered=True)
    return failed(words)
