"""A process that runs isolated functions, one at a time: `python -m wws.hosts.server.isolate.child FD`.

It is told the project's code once, and then what to run. Its memory and processor time are limited by the system
(setrlimit(2)), its time by the gateway, which kills it. It ends when the gateway does.
"""

from __future__ import annotations

import asyncio
import ctypes
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Any, Final

from wws.bindings import Context
from wws.core.auth.user import User
from wws.core.queue.message import Message
from wws.core.trail import Trail
from wws.errors import FunctionError, Refusal
from wws.functions.invoke import Code, Function, answered
from wws.functions.jobs import ScheduledEvent
from wws.functions.queue import Batch
from wws.hosts.server.isolate import frames
from wws.hosts.server.isolate.inside import Inside
from wws.http import Headers, Request, Response, Stream
from wws.project.functions.folder import folder_of
from wws.project.functions.modules import Modules

__all__ = ["main"]

OUT_OF_MEMORY: Final = 71
"""Exit status after a function has met the limit of its memory: what is left of the process is not to be trusted."""
_PDEATHSIG: Final = 1  # PR_SET_PDEATHSIG, prctl(2)
_STATM: Final = Path("/proc/self/statm")


class _Child:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.modules: Modules
        self.env: Inside
        self.folder: Any
        self.calls: dict[int, asyncio.Future[frames.Frame]] = {}
        self.number = 0
        self.running: asyncio.Task[None] | None = None
        self.base = 0

    async def serve(self) -> None:
        while (frame := await frames.read(self.reader)) is not None:
            header, body = frame
            match header["is"]:
                case "code":
                    self.code(header, body)
                case "run":
                    self.running = asyncio.get_running_loop().create_task(self.run(header, body))
                case "result":
                    future = self.calls.pop(header["call"], None)
                    if future is not None and not future.done():
                        future.set_result((header, body))

    def code(self, header: dict[str, Any], body: bytes) -> None:
        """The project's code and bindings."""
        sources, at = {}, 0
        for path, size in header["sources"]:
            sources[path] = body[at : at + size]
            at += size
        self.folder = folder_of(Path(header["root"]), sources)
        self.modules = Modules(self.folder)
        self.env = Inside(header["kinds"], frames.unplain(header["values"]), self.ask)
        self.base = _address_space()

    async def ask(self, asked: dict[str, Any]) -> frames.Frame:
        """The gateway's answer to a call of a binding."""
        self.number += 1
        future: asyncio.Future[frames.Frame] = asyncio.get_running_loop().create_future()
        self.calls[self.number] = future
        self.tell({"is": "call", "call": self.number, **asked})
        return await future

    def tell(self, header: dict[str, Any], body: bytes = b"") -> None:
        self.writer.write(frames.packed(header, body))

    async def run(self, header: dict[str, Any], body: bytes) -> None:
        """One run, from its request or event to the end of what it leaves behind."""
        later: list[asyncio.Future[Any]] = []

        def background(awaitable: Awaitable[Any]) -> None:
            later.append(asyncio.ensure_future(awaitable))

        try:
            self.limit(header)
            code = self.modules.code(self.folder.functions[header["function"]])
            ctx = _context(header, background)
            if header["event"] == "fetch":
                await self.respond(await self.fetch(code, header, body, ctx))
            else:
                self.tell({"is": "ran", "marks": await self.event(code, header, body, ctx)})
            await self.writer.drain()
            for one in later:
                await one
        except MemoryError:
            self.tell({"is": "error", "kind": "memory", "trace": traceback.format_exc()})
            await self.writer.drain()
            sys.exit(OUT_OF_MEMORY)
        except Refusal as refusal:
            self.tell({"is": "error", "kind": "refusal", "code": refusal.code, "message": refusal.message})
        except FunctionError as error:
            self.tell({"is": "error", "kind": "broken", "trace": str(error)})
        except BaseException as error:
            self.tell(
                {"is": "error", "kind": "failed", "error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
            )
        self.tell({"is": "idle"})

    def limit(self, header: dict[str, Any]) -> None:
        """What this run may take: memory beyond what the process itself has, and processor time from now on."""
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (self.base + header["memory"], most))
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        cpu = header["cpu"]
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY if cpu is None else ceil(used + cpu), most))

    async def fetch(self, code: Code, header: dict[str, Any], body: bytes, ctx: Context) -> Response:
        asked = header["request"]
        fields = Headers([(name, value) for name, value in asked["headers"]])
        about = {name: asked[name] for name in ("authority", "scheme", "client")}
        request = Request(asked["method"], asked["target"], fields, body, **about)
        request.params, request.user = ctx.params, ctx.user
        function = Function(header["function"], lambda: _given(code), code=code)
        return await answered(function, code, request, self.env, ctx)

    async def respond(self, response: Response) -> None:
        """Sends an answer, a stream piece by piece."""
        body = response.body
        head = {"is": "head", "status": response.status, "headers": response.headers.items()}
        if not isinstance(body, Stream):
            self.tell({**head, "whole": True}, body)
            return
        self.tell({**head, "whole": False})
        async for piece in body:
            self.tell({"is": "piece"}, piece)
            await self.writer.drain()
        self.tell({"is": "end"})

    async def event(self, code: Code, header: dict[str, Any], body: bytes, ctx: Context) -> dict[str, Any]:
        """Runs a `scheduled` or `queue` handler: what was said of the messages."""
        name, told = header["event"], header["about"]
        handler = code.events[name]
        if name == "scheduled":
            event = ScheduledEvent(told["cron"], datetime.fromisoformat(told["at"]), told["manual"])
            await handler(event, self.env, ctx)
            return {}
        messages, at = [], 0
        for one in told["messages"]:
            messages.append(Message(one["id"], body[at : at + one["size"]], one["sent"], one["sent"], one["attempts"]))
            at += one["size"]
        batch = Batch(told["queue"], messages)
        try:
            await handler(batch, self.env, ctx)
        except Exception as error:
            self.tell({"is": "said", "marks": batch.marks})
            raise error
        return batch.marks


def _context(header: dict[str, Any], background: Any) -> Context:
    asked = header["ctx"]
    now = asyncio.get_running_loop().time()
    ctx = Context(asked["request_id"], now + asked["left"], Trail(now), background)
    ctx.params = asked["params"]
    user = asked["user"]
    ctx.user = None if user is None else User(**{**user, "scopes": None if user["scopes"] is None else tuple(user["scopes"])})
    return ctx


async def _given(code: Code) -> Code:
    return code


def _address_space() -> int:
    """Bytes of addresses this process has in use."""
    return int(_STATM.read_text().split()[0]) * resource.getpagesize() if _STATM.exists() else 0


async def _serve(connection: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=connection)
    child = _Child(reader, writer)
    child.tell({"is": "up"})
    await child.serve()


def main() -> None:
    """Runs until the gateway hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, which the gateway gets too
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)  # also when the gateway is killed and this one never looks
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
