"""Functions with `isolate`, run by a few processes that can be ended without harm to others.

To the gateway such a function is one like any other, whose handlers here hand the work over. Each process runs one at a time; who
finds none free waits in line, up to a bound. One whose time is over, or whose caller has gone, ends with its process, and another
process takes its place.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from wws.bindings import Clock, Context, Env
from wws.core.queue.delivery import Mark
from wws.core.queue.message import packed as body_of
from wws.errors import Refusal, WwsError
from wws.functions.invoke import Code
from wws.functions.jobs import ScheduledEvent
from wws.functions.queue import Batch
from wws.functions.scope import Scope
from wws.hosts.server.isolate import frames
from wws.hosts.server.isolate.calls import answer, kinds, refused, values
from wws.hosts.server.isolate.member import Ended, Member
from wws.http import Headers, Request, Response, Stream
from wws.project.functions.folder import Folder, Found

__all__ = ["ENDS", "FunctionFailed", "Isolates"]

ENDS: Final = "wws_isolate_ends"
MEMORY: Final = 256 * 1024 * 1024
"""Bytes a function may take where its `config` does not say."""
_RETRY: Final = 1.0  # seconds until a caller who found the line too long should come back
_log = logging.getLogger("wws.functions")


class FunctionFailed(WwsError):
    """An isolated function raised; the text is its own traceback."""


class Isolates:
    """The processes of one version of a project. They are started when they are first needed."""

    def __init__(self, folder: Folder, count: int, line: int, clock: Clock, measure: Callable[..., None]) -> None:
        self._folder = folder
        self._most = count
        self._line = line
        self._clock = clock
        self._measure = measure
        self._kinds: dict[str, str] = {}
        self._code = b""
        self._members: set[Member] = set()
        self._idle: list[Member] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._starting = 0
        self._closed = False

    def bind(self, env: Env) -> None:
        """The bindings that the functions see."""
        self._kinds = kinds(env)
        sources = sorted(self._folder.sources.items())
        header = {
            "is": "code",
            "root": str(self._folder.root),
            "sources": [[path, len(text)] for path, text in sources],
            "kinds": self._kinds,
            "values": frames.plain(values(env)),
        }
        self._code = frames.packed(header, b"".join([text for _, text in sources]))

    def handlers(self, found: Found) -> Code:
        """A function of the folder as the gateway runs it."""

        async def fetch(request: Request, scope: Scope, ctx: Context) -> Response:
            return await self._fetch(found, request, scope, ctx)

        async def scheduled(event: ScheduledEvent, scope: Scope, ctx: Context) -> None:
            about = {"cron": event.cron, "at": event.scheduled_time.isoformat(), "manual": event.manual}
            await self._event(found, "scheduled", about, b"", scope, ctx)

        async def queue(batch: Batch, scope: Scope, ctx: Context) -> None:
            await self._batch(found, batch, scope, ctx)

        served = found.handlers.difference({"scheduled", "queue"})
        events = {name: handler for name, handler in (("scheduled", scheduled), ("queue", queue)) if name in found.handlers}
        return Code(fetch if served else None, {}, (), events)

    def close(self) -> None:
        """Takes no more. Idle processes end now, the others with what they are at, or with the gateway."""
        self._closed = True
        for member in list(self._idle):
            self._lose(member, "", "closed")

    # running

    async def _fetch(self, found: Found, request: Request, scope: Scope, ctx: Context) -> Response:
        body = await request.bytes()
        asked = {
            "method": request.method, "target": request.target, "headers": request.headers.items(),
            "authority": request.authority, "scheme": request.scheme, "client": request.client,
        }  # fmt: skip
        member = await self._member()
        try:
            self._begin(member, found, "fetch", {"request": asked}, body, ctx)
            header, data = await self._said(member, found, scope, ("head",))
        except BaseException as error:
            self._failed(member, found, error)
            raise
        fields = Headers([(name, value) for name, value in header["headers"]])
        if header["whole"]:
            ctx.wait_until(self._rest(member, found, scope))
            return Response(data, header["status"], fields)
        pieces = self._pieces(member, found, scope)
        return Response(Stream(pieces, pieces.aclose), header["status"], fields)

    async def _batch(self, found: Found, batch: Batch, scope: Scope, ctx: Context) -> None:
        bodies = [body_of(message.body) for message in batch.messages]
        rows = [
            {"id": one.id, "size": len(body), "sent": one.timestamp.timestamp(), "attempts": one.attempts}
            for one, body in zip(batch.messages, bodies, strict=True)
        ]
        about = {"queue": batch.queue, "messages": rows}
        await self._event(found, "queue", about, b"".join(bodies), scope, ctx, batch.marks)

    async def _event(
        self,
        found: Found,
        event: str,
        about: dict[str, Any],
        body: bytes,
        scope: Scope,
        ctx: Context,
        marks: dict[str, Mark] | None = None,
    ) -> None:
        member = await self._member()
        try:
            self._begin(member, found, event, {"about": about}, body, ctx)
            while True:
                header, _ = await self._said(member, found, scope, ("ran", "said"))
                if marks is not None:
                    marks.update({name: Mark(*mark) for name, mark in header["marks"].items()})
                if header["is"] == "ran":
                    break
            await self._said(member, found, scope, ("idle",))
        except BaseException as error:
            self._failed(member, found, error)
            raise
        self._free(member)

    def _begin(
        self, member: Member, found: Found, event: str, what: Mapping[str, Any], body: bytes, ctx: Context
    ) -> None:  # fmt: skip
        user = None if ctx.user is None else asdict(ctx.user)
        left = max(0.0, ctx.deadline - self._clock.monotonic())
        about = {"request_id": ctx.request_id, "left": left, "params": dict(ctx.params), "user": user}
        limits = {"memory": found.settings.get("memory", MEMORY), "cpu": found.settings.get("cpu")}
        member.send({"is": "run", "function": found.name, "event": event, "ctx": about, **limits, **what}, body)

    async def _said(self, member: Member, found: Found, scope: Scope, wanted: tuple[str, ...]) -> frames.Frame:
        """The next of the frames that are `wanted`; calls of bindings are answered meanwhile. Raises what the function did."""
        while True:
            header, body = await member.next()
            kind = header["is"]
            if kind in wanted:
                return header, body
            if kind == "call":
                scope.wws.background(self._answer(member, scope, header))
            elif kind == "error":
                await self._raise(member, found, scope, header)

    async def _answer(self, member: Member, scope: Scope, header: Mapping[str, Any]) -> None:
        try:
            told, body = await answer(scope, self._kinds, header)
        except Exception as error:
            told, body = refused(error), b""
        if not member.ended:
            member.send({"is": "result", "call": header["call"], **told}, body)

    async def _raise(self, member: Member, found: Found, scope: Scope, header: Mapping[str, Any]) -> None:
        kind = header["kind"]
        if kind == "memory":
            self._lose(member, found.name, "memory")
            memory = found.settings.get("memory", MEMORY) // 2**20
            raise FunctionFailed(f"{found.name} met its limit of {memory} MiB of memory\n{header['trace']}")
        await self._said(member, found, scope, ("idle",))
        self._free(member)
        if kind == "refusal":
            raise Refusal(header["code"], header["message"])
        if kind == "broken":
            _log.error("function %s is broken: %s", found.name, header["trace"])
            raise Refusal("function_broken")
        raise FunctionFailed(f"{header['error']}\n{header['trace']}")

    async def _rest(self, member: Member, found: Found, scope: Scope) -> None:
        """What a function leaves behind its answer."""
        timeout = scope.wws.policy.function_timeout
        try:
            async with asyncio.timeout(timeout):
                await self._said(member, found, scope, ("idle",))
        except BaseException as error:
            self._failed(member, found, error)
            if not isinstance(error, Exception):
                raise
            _log.error("function %s failed after its answer: %s", found.name, str(error) or "its time was over")
            return
        self._free(member)

    async def _pieces(self, member: Member, found: Found, scope: Scope) -> AsyncGenerator[bytes, None]:
        ended = False
        try:
            while True:
                header, body = await self._said(member, found, scope, ("piece", "end"))
                if header["is"] == "end":
                    break
                yield body
            ended = True
        finally:
            if not ended:
                self._lose(member, found.name, "stream")
        await self._rest(member, found, scope)

    # the processes

    async def _member(self) -> Member:
        """A process that is free, from now on the caller's. Raises `Refusal` where too many wait for one."""
        while not self._idle:
            if self._closed:
                raise Refusal("overloaded", retry_after=_RETRY)
            if len(self._members) + self._starting < self._most:
                return await self._started()
            if len(self._waiting) >= self._line:
                raise Refusal("overloaded", "Too many requests wait for isolated functions.", retry_after=_RETRY)
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()  # whoever comes next has the turn
                raise
            finally:
                if turn in self._waiting:
                    self._waiting.remove(turn)
        return self._idle.pop()

    async def _started(self) -> Member:
        member = Member()
        self._starting += 1
        try:
            await member.start(self._code)
        except Ended as error:
            self._measure(ENDS, ("", "start"), 1)
            self._next()
            raise FunctionFailed(f"no process for isolated functions could be started: {error}") from None
        except BaseException:
            member.kill("closed")
            self._next()
            raise
        finally:
            self._starting -= 1
        self._members.add(member)
        return member

    def _free(self, member: Member) -> None:
        if self._closed:
            self._lose(member, "", "closed")
        elif not member.ended:
            self._idle.append(member)
            self._next()

    def _failed(self, member: Member, found: Found, error: BaseException) -> None:
        """A run did not come to its end: with it ends its process, unless that has said why, and is well."""
        if isinstance(error, Refusal | FunctionFailed):
            return
        self._lose(member, found.name, "time" if not isinstance(error, Ended) else member.reason)

    def _lose(self, member: Member, function: str, reason: str) -> None:
        if member not in self._members:
            return
        self._members.discard(member)
        if member in self._idle:
            self._idle.remove(member)
        member.kill(reason)
        if reason != "closed":
            self._measure(ENDS, (function, reason), 1)
            _log.error("the process of isolated function %s is ended: %s", function, reason)
        self._next()

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
