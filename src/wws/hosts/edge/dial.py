"""`Dial` by the platform's `fetch`.

`fetch` does not tell connecting from waiting: the time to the head of an answer is `connect` and `first_byte` together. Whether
anything of a failed request was sent is not told either, so it counts as sent. The platform keeps the connections and, for a body
that is passed on unread, the idle times.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any, Final

from wws.bindings import Endpoint
from wws.core.policy import Timeouts
from wws.errors import ConnectFailed, UpstreamCut, UpstreamMalformed, UpstreamTimeout
from wws.hosts.edge.body import EdgeBody
from wws.hosts.edge.stream import FetchStream, WebSource
from wws.hosts.edge.web import Web, pairs_of
from wws.http import Body, Headers, Pair, Response

__all__ = ["FetchDial", "failed"]

_BODILESS: Final = frozenset({"GET", "HEAD"})
_WHOLE: Final = 64 * 1024
"""Bytes of a text that is read at once: one crossing instead of four, and the cache knows at once what it keeps."""
_TEXTS: Final = (b"application/json", b"text/plain")
# How the runtimes word a connection that could not be made: Deno's hyper, workerd's KJ.
_REFUSED: Final = (
    "connection refused",
    "could not connect",
    "dns",
    "error trying to connect",
    "tcp connect error",
    "certificate",
)


class FetchDial:
    """`bindings.Dial` on `fetch`; nothing is followed, nothing is cached by the platform."""

    __slots__ = ("_web",)

    def __init__(self, web: Web) -> None:
        self._web = web

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
        web = self._web
        if endpoint.unix is not None:
            raise ConnectFailed("there are no sockets here: http+unix addresses are for the self-hosted server")
        loop = asyncio.get_running_loop()
        end = inf if deadline is None else deadline
        now = loop.time()
        if end <= now:
            raise UpstreamTimeout("total")
        wait = min(timeouts.connect + timeouts.first_byte, end - now)
        abort = web.js.AbortController.new()
        init = web.plain({"method": method, "headers": pairs_of(headers), "redirect": "manual"})
        init.signal = abort.signal
        _give_body(web, init, method, body)
        late = _Alarm(loop, wait, abort)
        try:
            answer = await web.js.fetch(f"{endpoint.scheme}://{endpoint.authority}{target}", init)
        except web.ffi.JsException as error:
            if late.rang:
                raise UpstreamTimeout("total" if now + wait >= end else "first_byte") from None
            raise failed(str(error)) from None
        except asyncio.CancelledError:
            abort.abort()
            raise
        finally:
            late.off()
        return await self._response(answer, abort, method, timeouts, end)

    async def _response(self, answer: Any, abort: Any, method: str, timeouts: Timeouts, end: float) -> Response:
        web = self._web
        fields = web.fields(answer.headers)
        response = Response(b"", answer.status, Headers.trusted(fields))
        if not 200 <= response.status <= 999:
            raise UpstreamMalformed("no such status")
        first = response.headers.first
        length = first.get(b"content-length")
        encoded = b"content-encoding" in first  # then `fetch` has decoded the body, and the length is another
        if length is not None and length.isdigit() and not encoded:
            response.length = int(length)
        handle = web.present(answer.body)
        if handle is None or method == "HEAD":
            return response
        kind = first.get(b"content-type", b"")
        if response.length is not None and response.length <= _WHOLE and kind.startswith(_TEXTS):
            try:
                response.body = web.data(await answer.arrayBuffer())
            except web.ffi.JsException:
                raise UpstreamCut("the body ended early", answered=True) from None
            response.length = None
        else:
            response.body = FetchStream(WebSource(web, handle, abort), timeouts.idle, end)
        return response


class _Alarm:
    """Aborts a fetch that takes too long."""

    __slots__ = ("_abort", "_timer", "rang")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, abort: Any) -> None:
        self._abort = abort
        self.rang = False
        self._timer = loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        self.rang = True
        self._abort.abort()

    def off(self) -> None:
        self._timer.cancel()


def _give_body(web: Web, init: Any, method: str, body: bytes | Body) -> None:
    if method in _BODILESS:
        return
    whole = body if isinstance(body, bytes) else body.ready()
    if whole is not None:
        if whole:
            init.body = web.octets(whole)
        return
    handle = body.handle if isinstance(body, EdgeBody) else None
    if handle is not None:
        init.body = handle
        init.duplex = "half"  # Fetch, section 5.4: asked for by every body that is a stream


def failed(words: str) -> ConnectFailed | UpstreamCut:
    """What a failed `fetch` means, by the platform's words for it."""
    low = words.lower()
    if any(known in low for known in _REFUSED):
        return ConnectFailed("no connection")
    return UpstreamCut("the exchange failed", answered=False)
