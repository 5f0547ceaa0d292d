"""The way of a request across the border: its head and number in, a head and bytes or a stream out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from wws.hosts.deno.body import DenoBody
from wws.hosts.deno.border import Border, fields, lines
from wws.hosts.deno.loop import EdgeLoop
from wws.hosts.edge.app import BODILESS, EdgeApp, dropped
from wws.hosts.edge.stream import FetchStream, Gone, pump
from wws.http import EMPTY, Headers, Request, Response, Stream

__all__ = ["Exchanges"]

_log = logging.getLogger("wws.deno")


class Exchanges:
    """The requests of one gateway. A request that waits for nothing is answered before the call that brought it returns."""

    def __init__(self, app: EdgeApp, border: Border, loop: EdgeLoop) -> None:
        self._app = app
        self._border = border
        self._loop = loop
        self._running: dict[int, asyncio.Task[None]] = {}
        self._sending: dict[int, Stream] = {}
        self._kept: set[asyncio.Future[Any]] = set()

    def fetch(self, number: int, method: str, url: str, head: str, client: str, body: bool) -> None:
        """Called by the glue for each request; `Border.answer` of the glue gets what becomes of it."""
        self._loop.enter(self._begin, number, method, url, head, client, body)

    def leave(self, number: int) -> None:
        """Called by the glue: the client has left before its answer, or within it."""
        task, stream = self._running.get(number), self._sending.get(number)
        if task is not None:
            self._loop.enter(task.cancel)
        elif stream is not None:
            self._loop.enter(self._stop, stream)

    def _stop(self, stream: Stream) -> None:
        """Ends what is sent to nobody. A body of `fetch` ends at once; another is left at its next piece."""
        if isinstance(stream, FetchStream):
            stream.stop()

    def keep(self, awaitable: Any) -> None:
        """Runs what goes on after an answer."""
        self._hold(asyncio.ensure_future(awaitable))

    async def finished(self, seconds: float) -> None:
        """Waits for what runs behind answers."""
        if self._kept:
            await asyncio.wait(self._kept, timeout=seconds)

    def _begin(self, number: int, method: str, url: str, head: str, client: str, body: bool) -> None:
        request = _request(self._border, number, method, url, head, client, body)
        task = self._started(self._answered(number, request))
        if not task.done():
            self._running[number] = task

    def _started(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that has begun already, and has ended if it waits for nothing."""
        return asyncio.Task(work, loop=self._loop, eager_start=True)  # type: ignore[call-arg]  # Python 3.12

    def _hold(self, task: asyncio.Future[Any]) -> None:
        if not task.done():
            self._kept.add(task)
            task.add_done_callback(self._kept.discard)

    async def _answered(self, number: int, request: Request) -> None:
        try:
            self._write(number, await self._app.answer(request), request.method)
        except Exception:
            _log.exception("an answer could not be given to the platform")
            self._border.glue.answer(number, 500, "", None)
        finally:
            self._running.pop(number, None)

    def _write(self, number: int, response: Response, method: str) -> None:
        border, body, status = self._border, response.body, response.status
        head = lines(response.headers.raw, response.notes)
        if method == "HEAD" or status in BODILESS:
            if isinstance(body, Stream):
                self.keep(dropped(body))
            if method == "HEAD" and response.length is not None:
                head += f"content-length: {response.length}\r\n"
            border.glue.answer(number, status, head, None)
        elif isinstance(body, Stream):
            source = body.untouched if isinstance(body, FetchStream) else None
            if source is None:
                border.glue.stream(number, status, head)
                self._sending[number] = body
                self._hold(self._started(self._sent(number, response, body)))
                return
            if response.length is not None:
                head += f"content-length: {response.length}\r\n"
            border.glue.hand(number, status, head, source)
        else:
            border.glue.answer(number, status, head, border.octets(body) if body else None)
        if response.finish is not None:
            response.finish("done", response.length or 0)

    async def _sent(self, number: int, response: Response, stream: Stream) -> None:
        try:
            await pump(response, stream, _Sink(self._border, number))
        finally:
            del self._sending[number]
            self._border.glue.end(number, False)  # has no effect on what has ended well


def _request(border: Border, number: int, method: str, url: str, head: str, client: str, body: bool) -> Request:
    """Its path is as it was sent."""
    scheme, _, rest = url.partition("://")
    authority, _, target = rest.partition("#")[0].partition("/")
    headers = Headers.trusted(fields(head))
    length = headers.first.get(b"content-length")
    size = int(length) if length is not None and length.isdigit() else None
    arriving = DenoBody(border, number, size) if body else EMPTY
    return Request(method, f"/{target}", headers, arriving, authority=authority, scheme=scheme, client=client)


class _Sink:
    """The way to a client: see `wws.hosts.edge.stream.Sink`."""

    __slots__ = ("_border", "_number", "_write")

    def __init__(self, border: Border, number: int) -> None:
        self._border = border
        self._number = number
        self._write = border.glue.write

    @property
    def left(self) -> bool:
        """See `Sink`."""
        return bool(self._border.glue.left(self._number))

    async def write(self, data: bytes) -> None:
        """See `Sink`."""
        state = self._write(self._number, self._border.octets(data))
        if state == 0:
            state = (await self._border.ask(self._border.glue.drained, self._number))[0]
        if state < 0:
            raise Gone

    async def close(self, whole: bool) -> None:
        """See `Sink`."""
        self._border.glue.end(self._number, whole)
