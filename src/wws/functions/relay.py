"""relay to the origin: the request goes on to the web app's server with a verified identity, its answer comes back."""

from __future__ import annotations

from typing import Final

from wws.bindings import Context, Endpoint, Env
from wws.core.cache.validate import CONDITIONAL
from wws.core.policy import Route, Timeouts
from wws.core.wire import hygiene
from wws.errors import ConnectFailed, Refusal, UpstreamError, UpstreamMalformed, UpstreamTimeout
from wws.http import Headers, Pair, Request, Response

__all__ = ["relay_origin", "relay_socket", "wants_socket"]

_VIA: Final = b"1.1 wws"
_SWITCHING: Final = 101
_MAX_PASSES: Final = 3
"""Times a request may pass this gateway: one in front of another is a set-up, a third is a loop."""


class _Origin:
    """An origin made ready: its endpoint and timers."""

    __slots__ = ("endpoint", "timeouts")

    def __init__(self, url: str, timeouts: Timeouts) -> None:
        self.endpoint = Endpoint(url)
        self.timeouts = timeouts


def _origin(env: Env, route: Route) -> _Origin:
    origins: dict[str, _Origin] = env.wws.state.setdefault("relay", {})
    name = route.target or "default"
    origin = origins.get(name)
    if origin is None:
        url = env.wws.policy.origins.get(name)
        if url is None:
            raise Refusal("not_found", "No [origin] is configured for this path.")
        origin = origins[name] = _Origin(url, env.wws.policy.origin_timeouts)
    return origin


async def relay_origin(request: Request, env: Env, ctx: Context, route: Route, conditional: list[Pair] | None = None) -> Response:
    """Sends `request` to the route's origin. `conditional`, where it is a list, replaces the client's own validators: a cache
    asks with those of what it holds, or with none when it wants the whole answer.

    The origin sees `X-User-ID` and `X-User-Role` of the verified user, or neither. Raises `Refusal`: `origin_unreachable`,
    `origin_timeout`, `origin_malformed`, `not_found` where no origin is configured.
    """
    origin = _origin(env, route)
    connection = request.headers.first.get(b"connection")
    headers = hygiene.to_origin(request.headers.raw, connection)
    if conditional is not None:
        headers = [pair for pair in headers if pair[0] not in CONDITIONAL] + conditional
    headers += _ours(request, ctx)
    trail = ctx.trail
    clock = env.wws.clock.monotonic
    started = clock()
    try:
        response = await env.wws.dial.send(
            origin.endpoint,
            request.method,
            origin.endpoint.base + request.target,
            headers,
            request.body,
            origin.timeouts,
            ctx.deadline,
        )
    except UpstreamError as error:
        raise _refusal(error) from error
    finally:
        trail.upstream = (trail.upstream or 0.0) + clock() - started
    raw = hygiene.from_upstream(response.headers.raw, response.headers.first.get(b"connection"))
    response.headers = Headers.trusted(raw)
    return response


def wants_socket(request: Request) -> bool:
    """Whether a request asks to go on as a WebSocket (RFC 6455 section 4.1)."""
    first = request.headers.first
    return (
        request.method == "GET"
        and first.get(b"upgrade", b"").lower() == b"websocket"
        and b"upgrade" in first.get(b"connection", b"").lower()
        and b"sec-websocket-key" in first
        and request.body.length == 0
    )


async def relay_socket(request: Request, env: Env, ctx: Context, route: Route) -> Response:
    """Asks the route's origin for a WebSocket: its 101, with what joins the two sides, or another answer of it.

    The origin sees the verified user as in any request. Raises `Refusal` as `relay_origin`, and where the host cannot.
    """
    tunnel = env.wws.tunnel
    if tunnel is None:
        raise Refusal("unsupported_endpoint", "WebSockets are not passed on here.")
    origin = _origin(env, route)
    connection = request.headers.first.get(b"connection")
    headers = [*hygiene.to_origin(request.headers.raw, connection), (b"upgrade", b"websocket"), *_ours(request, ctx)]
    try:
        response = await tunnel(origin.endpoint, origin.endpoint.base + request.target, headers, origin.timeouts)
    except UpstreamError as error:
        raise _refusal(error) from error
    raw = hygiene.from_upstream(response.headers.raw, response.headers.first.get(b"connection"))
    if response.status == _SWITCHING:
        raw += [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
    response.headers = Headers.trusted(raw)
    return response


def _ours(request: Request, ctx: Context) -> list[Pair]:
    """What the gateway vouches for, in place of what the client may have claimed."""
    if b"via" in request.headers.first:
        passes = sum([value.count(b" wws") for name, value in request.headers.raw if name == b"via"])
        if passes >= _MAX_PASSES:
            raise Refusal("origin_unreachable", "The request has passed this gateway before: [origin] url leads back to it.")
    headers: list[Pair] = [
        (b"x-request-id", ctx.request_id.encode("latin-1")),
        (b"x-forwarded-host", request.authority.encode("latin-1")),
        (b"x-forwarded-proto", request.scheme.encode("latin-1")),
        (b"via", _VIA),
    ]
    if request.client:
        headers.append((b"x-forwarded-for", request.client.encode("latin-1")))
    user = ctx.user
    if user is not None:
        headers.append((b"x-user-id", _said(user.id)))
        headers.append((b"x-user-role", _said(user.role)))
    return headers


def _said(name: str) -> bytes:
    """A verified name as a header value. Those who verify let nothing else pass; this is where it would do harm."""
    if not name.isascii() or not name.isprintable():
        raise Refusal("internal_error", "The user's id cannot stand in a header.")
    return name.encode("ascii")


def _refusal(error: UpstreamError) -> Refusal:
    if isinstance(error, UpstreamTimeout) and error.phase != "connect":
        return Refusal("origin_timeout")
    if isinstance(error, UpstreamMalformed):
        return Refusal("origin_malformed")
    if isinstance(error, ConnectFailed):
        return Refusal("origin_unreachable", "The origin server cannot be reached. Is it running at the address of [origin] url?")
    return Refusal("origin_unreachable")
