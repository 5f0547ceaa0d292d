"""A bundle made ready to answer, and the way of a request across the border: JavaScript's objects in, JavaScript's out."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from wws.bindings import (
    KV,
    ApproximateLimiter,
    Clock,
    Context,
    Counter,
    Dial,
    Env,
    Provider,
    Secrets,
    Services,
    SystemClock,
)
from wws.core.trail import Trail
from wws.core.wire.notes import acceptable_id
from wws.errors import FunctionError
from wws.functions.env import bindings as standard
from wws.functions.invoke import Function
from wws.functions.jobs import ScheduledEvent, run_scheduled
from wws.functions.namespace import Namespace
from wws.functions.scope import Scope
from wws.gateway import Gateway
from wws.hosts.edge.background import Background, Keep
from wws.hosts.edge.body import EdgeBody
from wws.hosts.edge.bundle import Bundle, Tick
from wws.hosts.edge.crypto import WebCryptoVerifier
from wws.hosts.edge.dial import FetchDial
from wws.hosts.edge.log import EdgeLog
from wws.hosts.edge.stream import FetchStream, WebSink, pump
from wws.hosts.edge.web import Web, pairs_of
from wws.http import EMPTY, Headers, Request, Response, Stream

__all__ = ["BODILESS", "EdgeApp", "assemble", "dropped"]

_log = logging.getLogger("wws.functions")
# RFC 9110 section 6.4.1; `Response` refuses a body beside them.
BODILESS: Final = frozenset({204, 205, 304})
# What the platform says of the connection itself, and says anew on the way out.
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})


class EdgeApp:
    """One bundle's gateway. `background` carries each request's `waitUntil`."""

    __slots__ = ("_background", "_clock", "_crons", "_number", "_prefix", "env", "gateway", "web")

    def __init__(self, web: Web, env: Env, background: Background, crons: Sequence[Tick] = ()) -> None:
        self.web = web
        self._crons = crons
        self.env = env
        self.gateway = Gateway(env)
        self._background = background
        self._clock = env.wws.clock.monotonic
        self._prefix = ""
        self._number = 0

    async def fetch(self, request: Any, keep: Keep, client: str) -> Any:
        """Answers a JavaScript `Request` with a JavaScript `Response`. `client` is the address the platform vouches for."""
        self._background.enter(keep)
        asked = read_request(self.web, request, client)
        answer = await self.answer(asked)
        return written(self.web, answer, asked.method, keep)

    def enter(self, keep: Keep) -> None:
        """`keep` is the `waitUntil` of what is answered from here on."""
        self._background.enter(keep)

    async def answer(self, request: Request) -> Response:
        """Answers a request that has been read."""
        now = self._clock()
        deadline = now + self.env.wws.policy.timeouts.total
        context = Context(self._id(request), deadline, Trail(now), self._background)
        return await self.gateway.handle(request, self.env, context)

    async def scheduled(self, cron: str, seconds: float, keep: Keep) -> None:
        """Runs what `[triggers]` has for the expression `cron`, due at `seconds` of wall time, side by side. Raises nothing."""
        self._background.enter(keep)
        functions = self.env.wws.functions
        all_of_them = [name for name, one in functions.items() if one.code is None or "scheduled" in one.code.events]
        due: dict[str, str] = {}  # by function: the expression as the project writes it
        for tick in self._crons:
            if cron == (tick.there or tick.cron):
                for name in all_of_them if tick.function is None else [tick.function]:
                    due.setdefault(name, tick.cron)
        time = datetime.fromtimestamp(seconds, UTC)
        await asyncio.gather(*[self._run(name, ScheduledEvent(written, time)) for name, written in due.items()])

    async def _run(self, name: str, event: ScheduledEvent) -> None:
        function = self.env.wws.functions[name]
        try:
            code = function.code or await function.load()
        except FunctionError as error:
            _log.error("function %s is broken: %s", name, error)
            return
        handler = code.events.get("scheduled")
        if handler is None:
            return
        timeout: float = function.settings.get("timeout") or self.env.wws.policy.function_timeout
        now = self._clock()
        ctx = Context(f"job-{self._next()}", now + timeout, Trail(now), self._background)
        ctx.params = {}
        await run_scheduled(name, handler, event, Scope(self.env, Request("POST", f"/{name}"), ctx), ctx, timeout)

    def _id(self, request: Request) -> str:
        given = request.headers.first.get(b"x-request-id")
        if given is not None and acceptable_id(text := given.decode("latin-1")):
            return text
        return self._next()

    def _next(self) -> str:
        if not self._prefix:  # not before the first request: at the start there is no randomness, or a snapshot keeps it
            self._prefix = secrets.token_hex(5)
        self._number += 1
        return f"{self._prefix}{self._number:08x}"


def assemble(
    web: Web,
    bundle: Bundle,
    pepper: bytes,
    *,
    kv: KV,
    counter: Counter,
    providers: Mapping[str, Provider],
    namespaces: Mapping[str, Any] | None = None,
    bindings: Mapping[str, Any] | None = None,
    functions: Mapping[str, Function] | None = None,
    share_in_flight: bool = True,
    clock: Clock | None = None,
    dial: Dial | None = None,
    approximate: ApproximateLimiter | None = None,
    write: Callable[[str], object],
) -> EdgeApp:
    """The app of a bundle whose secrets are in place.

    `namespaces` are the KV namespaces that functions see, where they are not kept in `kv`; `bindings` are the host's own;
    `functions` are those of the bundle, imported already.
    `write` gets the log's lines.
    """
    clock = clock or SystemClock()
    background = Background()
    log = EdgeLog(bundle.log, bundle.policy.version, clock.monotonic, write)
    services = Services(
        bundle.policy, kv, counter, dial or FetchDial(web), WebCryptoVerifier(web), Secrets(pepper), providers, clock, background,
        share_in_flight, log,
    )  # fmt: skip
    services.functions = functions or {}
    services.approximate = approximate
    own = standard(bundle.policy, bundle.services)
    seen = {name: (namespaces or {}).get(name) or Namespace(kv, name) for name in bundle.kv_namespaces}
    return EdgeApp(web, Env(services, {**own, **bundle.vars, **seen, **(bindings or {})}), background, bundle.crons)


def read_request(web: Web, request: Any, client: str) -> Request:
    """A JavaScript `Request` as ours. Its URL was parsed by the platform: dot segments are resolved already."""
    scheme, _, rest = request.url.partition("://")
    authority, _, target = rest.partition("#")[0].partition("/")
    headers = Headers.trusted(web.fields(request.headers))
    length = headers.first.get(b"content-length")
    method = request.method
    size = int(length) if length is not None and length.isdigit() else None
    bodiless = method in ("GET", "HEAD") or size == 0 or web.present(request.body) is None
    body = EMPTY if bodiless else EdgeBody(web, request, size)
    return Request(method, f"/{target}", headers, body, authority=authority, scheme=scheme, client=client)


def written(web: Web, response: Response, method: str, keep: Keep) -> Any:
    """Our answer as a JavaScript `Response`. A stream that nobody looks into crosses as the handle it is."""
    body, finish = response.body, response.finish
    init: dict[str, Any] = {"status": response.status}
    bodiless = method == "HEAD" or response.status in BODILESS
    fields = [pair for pair in response.headers.raw if pair[0] not in _FRAMING]
    if bodiless and method == "HEAD" and response.length is not None:
        fields.append((b"content-length", b"%d" % response.length))
    init["headers"] = pairs_of(fields, response.notes)
    if bodiless:
        if isinstance(body, Stream):
            keep(dropped(body))
        payload = None
    elif isinstance(body, Stream):
        untouched = body.untouched if isinstance(body, FetchStream) else None
        if untouched is None:
            through = web.js.TransformStream.new()
            keep(asyncio.ensure_future(pump(response, body, WebSink(web, through.writable.getWriter()))))
            return web.js.Response.new(through.readable, web.plain(init))
        payload = untouched
    else:
        payload = web.octets(body)
    if finish is not None:
        finish("done", response.length or 0)
    return web.js.Response.new(payload, web.plain(init))


async def dropped(stream: Stream) -> None:
    """Ends a stream that is not sent: the answer has no body."""
    if stream.transform is not None:
        stream.transform.end("client_closed")
    await stream.aclose()
