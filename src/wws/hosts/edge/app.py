"""A bundle made ready to answer, and the way of a request across the border: JavaScript's objects in, JavaScript's out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from wws.bindings import KV, Clock, Context, Counter, Dial, Env, Namespace, Provider, Secrets, Services, SystemClock
from wws.core.trail import Trail
from wws.core.wire.notes import acceptable_id
from wws.functions.invoke import Function
from wws.gateway import Gateway
from wws.hosts.edge.background import Background, Keep
from wws.hosts.edge.body import EdgeBody
from wws.hosts.edge.bundle import Bundle
from wws.hosts.edge.crypto import WebCryptoVerifier
from wws.hosts.edge.dial import FetchDial
from wws.hosts.edge.log import EdgeLog
from wws.hosts.edge.stream import FetchStream, pump
from wws.hosts.edge.web import Web, pairs_of
from wws.http import EMPTY, Headers, Request, Response, Stream

__all__ = ["EdgeApp", "assemble"]

# RFC 9110 section 6.4.1; `Response` refuses a body beside them.
_BODILESS: Final = frozenset({204, 205, 304})
# What the platform says of the connection itself, and says anew on the way out.
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})


class EdgeApp:
    """One bundle's gateway. `background` carries each request's `waitUntil`."""

    __slots__ = ("_background", "_clock", "_number", "_prefix", "env", "gateway", "web")

    def __init__(self, web: Web, env: Env, background: Background) -> None:
        self.web = web
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

    async def answer(self, request: Request) -> Response:
        """Answers a request that has been read."""
        now = self._clock()
        deadline = now + self.env.wws.policy.timeouts.total
        context = Context(self._id(request), deadline, Trail(now), self._background)
        return await self.gateway.handle(request, self.env, context)

    def _id(self, request: Request) -> str:
        given = request.headers.first.get(b"x-request-id")
        if given is not None and acceptable_id(text := given.decode("latin-1")):
            return text
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
    seen = {name: (namespaces or {}).get(name) or Namespace(kv, name) for name in bundle.kv_namespaces}
    return EdgeApp(web, Env(services, {**bundle.vars, **seen, **(bindings or {})}), background)


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
    bodiless = method == "HEAD" or response.status in _BODILESS
    fields = [pair for pair in response.headers.raw if pair[0] not in _FRAMING]
    if bodiless and method == "HEAD" and response.length is not None:
        fields.append((b"content-length", b"%d" % response.length))
    init["headers"] = pairs_of(fields, response.notes)
    if bodiless:
        if isinstance(body, Stream):
            keep(_dropped(body))
        payload = None
    elif isinstance(body, Stream):
        untouched = body.untouched if isinstance(body, FetchStream) else None
        if untouched is None:
            through = web.js.TransformStream.new()
            keep(asyncio.ensure_future(pump(web, response, body, through.writable.getWriter())))
            return web.js.Response.new(through.readable, web.plain(init))
        payload = untouched
    else:
        payload = web.octets(body)
    if finish is not None:
        finish("done", response.length or 0)
    return web.js.Response.new(payload, web.plain(init))


async def _dropped(stream: Stream) -> None:
    if stream.transform is not None:
        stream.transform.end("client_closed")
    await stream.aclose()
