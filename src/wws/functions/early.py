"""A stream whose first token is long in coming: its head is sent before, and comments keep the connection open.

Load balancers and proxies cut what is silent for a minute (30 s with some). Only the status is spent by that: nothing of an
answer has been sent, so the attempts go on behind it as they would have, and what fails in the end is told inside the stream.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from wws.bindings import Context, Env
from wws.core.wire.relay_stream import HEARTBEAT, PING, RelayStream
from wws.core.wire.tap import Shape, error_event
from wws.errors import Refusal, UpstreamCut
from wws.functions.ending import SSE
from wws.functions.rate_limiter import give_back
from wws.http import Headers, Outcome, Response, Stream

__all__ = ["Late", "early"]

_log = logging.getLogger("wws.gateway")


async def early(work: Coroutine[Any, Any, Response], after: float, shape: Shape, env: Env, ctx: Context) -> Response:
    """The answer of `work`, or after so many seconds without one the beginning of a stream that goes on with it.

    Raises what `work` raises in that time, `Refusal` among it.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=after)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if task.done():
        return task.result()
    return Late(task, shape, env, ctx).response()


class Late:
    """The `Transform` of a stream that has begun without its answer, and the source of what is sent when that comes."""

    def __init__(self, task: asyncio.Future[Response], shape: Shape, env: Env, ctx: Context) -> None:
        self._task = task
        self._shape: Shape = shape
        self._env = env
        self._ctx = ctx
        self._relay: RelayStream | None = None
        self._failure = b""
        self._beat: float | None = None

    def response(self) -> Response:
        """What is sent at once: the head and a comment."""
        stream = Stream(self._events(), self._close)
        stream.transform = self
        stream.held = PING
        response = Response(stream, 200, Headers.trusted(list(SSE)))
        response.finish = self._finish
        return response

    async def _events(self) -> AsyncIterator[bytes]:
        try:
            response = await self._task
        except Refusal as refusal:
            raise self._failed(refusal) from refusal
        except Exception:
            _log.exception("request %s failed", self._ctx.request_id)
            raise self._failed(Refusal("internal_error")) from None
        body = response.body
        if isinstance(body, bytes):
            if not response.headers.first.get(b"content-type", b"").startswith(b"text/event-stream"):
                raise self._failed(Refusal("provider_error", "The provider does not stream this model's answers."))
            yield body
            return
        if body.held:
            yield body.held
        if isinstance(body.transform, RelayStream):
            self._relay = body.transform
        async for chunk in body:
            yield chunk

    def _failed(self, refusal: Refusal) -> UpstreamCut:
        """Notes what is told of `refusal`; the error that ends the stream with it."""
        ctx = self._ctx
        ctx.trail.error_type = ctx.trail.error_type or refusal.row.error_type
        self._failure = error_event(self._shape, refusal.code, refusal.message)
        if refusal.row.status >= 500 and ctx.counted is not None:
            ctx.wait_until(give_back(ctx.counted, self._env))
        return UpstreamCut(refusal.code, answered=False)

    def _arrived(self) -> Response | None:
        task = self._task
        return task.result() if task.done() and not task.cancelled() and task.exception() is None else None

    async def _close(self) -> None:
        response = self._arrived()
        if response is None:
            self._task.cancel()
        elif isinstance(response.body, Stream):
            await response.body.aclose()

    def _finish(self, outcome: Outcome, sent: int) -> None:
        """The host has sent the last byte, or will not."""
        response = self._arrived()
        if response is not None and response.finish is not None:
            response.finish(outcome, sent)
        elif response is None and outcome == "client_closed":
            self._task.cancel()
            self._ctx.trail.error_type = "caller_cancelled"

    # Transform, with the timers of a RelayStream

    @property
    def ending(self) -> str:
        """See `RelayStream.ending`."""
        return "" if self._relay is None else self._relay.ending

    def feed(self, chunk: bytes) -> bytes:
        """What is sent for `chunk`."""
        return chunk if self._relay is None else self._relay.feed(chunk)

    def end(self, outcome: str) -> bytes:
        """What is sent last."""
        if self._relay is not None:
            return self._relay.end(outcome)
        return b"" if outcome == "client_closed" else self._failure

    def tick(self, now: float) -> bytes:
        """A heartbeat when one is due."""
        if self._relay is not None:
            return self._relay.tick(now)
        if self._beat is None or now - self._beat >= HEARTBEAT:
            due = self._beat is not None
            self._beat = now
            return PING if due else b""
        return b""

    def held_up(self) -> None:
        """The caller does not take what is sent."""
        if self._relay is not None:
            self._relay.held_up()
