"""`env.fetch`: the outside world from inside a function, with a deadline, bounds, and no way into the gateway's own network.

    response = await env.fetch("https://api.example.com/items", method="POST", json={"x": 1})
    response.status, response.headers["content-type"], await response.json()

A name is resolved here, every address is judged, and the connection goes to an address that was judged: a name that resolves
to another one a moment later gains nothing. Each redirect is judged anew.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import urljoin, urlsplit

from wws import codec
from wws.bindings import Context, Endpoint, Env
from wws.core.net.reach import Reach
from wws.core.policy import FetchPolicy, Timeouts
from wws.core.wire import hygiene
from wws.errors import ConnectFailed, FetchRefused
from wws.functions.scope import Bound, Scope
from wws.http import Body, Headers, Pair, Request, Response, Stream

__all__ = ["Fetch", "Fetched", "Fetcher"]

_ADDRESSES: Final = 3  # of one name that are tried
_CONNECT: Final = 10.0  # seconds
_MAX_REDIRECTS: Final = 10  # WHATWG Fetch allows 20; more than ten in a row lead nowhere
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS: Final = frozenset({b"authorization", b"cookie", b"proxy-authorization"})
_OURS: Final = hygiene.HOP_BY_HOP | {b"host"}
_DECODERS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
Redirect = Literal["follow", "manual", "error"]


class Fetch(Bound):
    """`env.fetch` before it is bound to a request."""

    def __init__(self, policy: FetchPolicy) -> None:
        self.policy = policy
        self.reach = Reach(policy.allow)

    def bound(self, scope: Scope) -> Fetcher:
        return Fetcher(self, scope._env, scope._request, scope._ctx)


class Fetched:
    """What came back: `status`, `headers`, `url` (the last one, after redirects), `redirected`.

    The body is read once: whole by `bytes`, `text` or `json`, or in pieces by iterating. A function may return a `Fetched`: it is
    passed on as it is, without waiting for the body.
    """

    def __init__(self, response: Response, url: str, redirected: bool, limit: int) -> None:
        self._response = response
        self._limit = limit
        self.status = response.status
        self.headers = response.headers
        self.url = url
        self.redirected = redirected

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    async def bytes(self) -> bytes:
        """The whole body, decompressed. Raises `FetchRefused` past the limit of `[fetch]`, `UpstreamError` when it breaks off."""
        body = self._response.body
        if isinstance(body, Stream):
            pieces: list[Any] = []
            size = 0
            async for piece in body:
                size += len(piece)
                if size > self._limit:
                    await body.aclose()
                    raise _too_large(self._limit)
                pieces.append(piece)
            body = b"".join(pieces)
            self._response.body = body
        coding = (self.headers.get("content-encoding") or "").strip().lower()
        return _decoded(body, _DECODERS[coding], self._limit) if coding in _DECODERS else body

    async def text(self) -> str:
        """The body as UTF-8, replacing what is none."""
        return (await self.bytes()).decode("utf-8", "replace")

    async def json(self) -> Any:
        """The body as a JSON value. Raises `ValueError` when it is none."""
        return codec.decode(await self.bytes())

    async def __aiter__(self) -> AsyncIterator[Any]:
        body = self._response.body
        if isinstance(body, Stream):
            async for piece in body:
                yield piece
        elif body:
            yield body

    def as_response(self) -> Response:
        """The answer as a function's own: without the fields of the connection it came by."""
        raw = hygiene.from_upstream(self.headers.raw, self.headers.first.get(b"connection"))
        response = Response(None, self.status, Headers.trusted(raw))
        response.body, response.length = self._response.body, self._response.length
        return response

    def __repr__(self) -> str:
        return f"<Fetched {self.status}>"


class Fetcher:
    """Fetches on behalf of one request: its deadline holds."""

    def __init__(self, fetch: Fetch, env: Env, request: Request, ctx: Context) -> None:
        self._fetch = fetch
        self._env = env
        self._request = request
        self._ctx = ctx

    async def __call__(
        self, url: str | Request, *, method: str | None = None, headers: Headers | Mapping[str, str] | None = None,
        body: bytes | str | Body | None = None, json: Any = None, timeout: float | None = None, redirect: Redirect = "follow",
    ) -> Fetched:  # fmt: skip
        """Sends a request to an http:// or https:// address.

        `timeout` is in seconds, for the whole answer; that of `[fetch]` where it is None, and never past the deadline of the
        request at hand. `redirect`: `follow`, `manual` (the redirect is the answer) or `error`. Raises `FetchRefused` for where
        a function may not go, `ValueError` for what is no address, `UpstreamError` when there is no answer.
        """
        if isinstance(url, Request):
            method = method or url.method
            headers = url.headers if headers is None else headers
            body = url.body if body is None else body
            url = url.url
        payload, fields = _prepared(body, json, headers)
        method = (method or ("GET" if not payload else "POST")).upper()
        clock = self._env.wws.clock.monotonic
        policy = self._fetch.policy
        end = min(self._ctx.deadline, clock() + (policy.timeout if timeout is None else timeout))
        redirected = False
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._send(url, method, fields, payload, end)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or location is None or redirect == "manual":
                return Fetched(response, url, redirected, policy.limit)
            await _dropped(response)
            if redirect == "error":
                raise FetchRefused(f"{_shown(url)} redirects, and redirect='error' was asked for")
            target = urljoin(url, location)
            method, payload, fields = _redirected(response.status, method, payload, fields, url, target)
            url, redirected = target, True
        raise FetchRefused(f"more than {_MAX_REDIRECTS} redirects")

    async def _send(self, url: str, method: str, fields: list[Pair], payload: bytes | Body, end: float) -> Response:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FetchRefused(f"{_shown(url)} is no http:// or https:// address")
        if parts.username is not None:
            raise FetchRefused("an address must hold no user and password: send an Authorization header")
        endpoints = await self._endpoints(parts.scheme, parts.hostname, parts.port, parts.netloc)
        target = _target(parts.path, parts.query)
        wws = self._env.wws
        left = max(0.01, end - wws.clock.monotonic())
        timeouts = Timeouts(connect=min(left, _CONNECT), first_byte=left, idle=left, total=left)
        fields = self._via(fields)
        for endpoint in endpoints[:-1]:
            try:
                return await wws.dial.send(endpoint, method, target, fields, payload, timeouts, end)
            except ConnectFailed:  # nothing was sent: the next address of the name is tried
                continue
        return await wws.dial.send(endpoints[-1], method, target, fields, payload, timeouts, end)

    async def _endpoints(self, scheme: str, host: str, port: int | None, netloc: str) -> list[Endpoint]:
        """The addresses that may be reached, as endpoints; at least one."""
        reach, resolve = self._fetch.reach, self._env.wws.resolve
        if reach.named(host):
            return [Endpoint(f"{scheme}://{netloc}")]
        if resolve is None:  # the platform resolves, and keeps workers out of its own network
            reason = reach.refuses_name(host)
            if reason is not None:
                raise _refused(host, reason)
            return [Endpoint(f"{scheme}://{netloc}")]
        addresses = await resolve(host, port or (443 if scheme == "https" else 80))
        if not addresses:
            raise ConnectFailed(f"{host} has no address")
        for address in addresses:
            reason = reach.refuses(address)
            if reason is not None:  # one address inside is enough: a public one beside it is how filters are passed
                raise _refused(host, reason)
        return [Endpoint(f"{scheme}://{netloc}", address) for address in addresses[:_ADDRESSES]]

    def _via(self, fields: list[Pair]) -> list[Pair]:
        """RFC 9110 section 7.6.3: the passes of the request at hand go along, so that a way back to us is seen to be a loop."""
        passed = [pair for pair in self._request.headers.raw if pair[0] == b"via"]
        return [*fields, *passed, (b"via", b"1.1 wws")]


def _prepared(
    body: bytes | str | Body | None, json: Any, headers: Headers | Mapping[str, str] | None
) -> tuple[bytes | Body, list[Pair]]:
    given = headers if isinstance(headers, Headers) else Headers(headers or {})
    fields = [pair for pair in given.raw if pair[0] not in _OURS]
    names = {name for name, _ in fields}
    payload: bytes | Body = b""
    if json is not None:
        if body is not None:
            raise ValueError("fetch takes body= or json=, not both")
        payload = codec.encode(json)
        if b"content-type" not in names:
            fields.append((b"content-type", b"application/json"))
    elif isinstance(body, str):
        payload = body.encode()
    elif body is not None:
        payload = body
        if isinstance(body, Body) and body.length == 0:
            payload = b""
    if b"user-agent" not in names:
        fields.append((b"user-agent", b"wws"))
    if b"accept" not in names:
        fields.append((b"accept", b"*/*"))
    return payload, fields


def _redirected(
    status: int, method: str, payload: bytes | Body, fields: list[Pair], url: str, target: str
) -> tuple[str, bytes | Body, list[Pair]]:
    """WHATWG Fetch, HTTP-redirect fetch: what of a request is sent on."""
    if (status in (301, 302) and method == "POST") or (status == 303 and method not in ("GET", "HEAD")):
        method, payload = "GET", b""
        fields = [pair for pair in fields if not pair[0].startswith(b"content-")]
    elif payload and not isinstance(payload, bytes):
        raise FetchRefused("a redirect asks for the body again, which was streamed: send bytes, or redirect='manual'")
    one, other = urlsplit(url), urlsplit(target)
    if (one.scheme, one.netloc) != (other.scheme, other.netloc):
        fields = [pair for pair in fields if pair[0] not in _CREDENTIALS]
    return method, payload, fields


def _target(path: str, query: str) -> str:
    target = (path or "/") + (f"?{query}" if query else "")
    if not target.isascii() or any(character <= " " or character == "\x7f" for character in target):
        raise ValueError("the address has spaces or characters beyond ASCII: percent-encode them (urllib.parse.quote)")
    return target


def _decoded(body: bytes, bits: int, limit: int) -> bytes:
    try:
        inflate = zlib.decompressobj(bits)
        data = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise ValueError(f"the body is not what its Content-Encoding says: {error}") from None
    if len(data) > limit:
        raise _too_large(limit)
    return data


async def _dropped(response: Response) -> None:
    if isinstance(response.body, Stream):
        await response.body.aclose()


def _too_large(limit: int) -> FetchRefused:
    return FetchRefused(f"the answer is larger than {limit} bytes: raise [fetch] limit, or read it in pieces")


def _refused(host: str, reason: str) -> FetchRefused:
    return FetchRefused(f"{host} is {reason}: functions may not reach it. Write it into [fetch] allow if they should.")


def _shown(url: str) -> str:
    """An address for a message: its query may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
