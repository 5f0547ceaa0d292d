"""Request, Response, Headers: plain values, shaped like the web platform's, that no host owns.

A host turns what it receives into a `Request` and a `Response` back into what it sends. Header names are lower case
bytes and values are bytes as they were on the wire; the text side (`get`, `items`) decodes them as ISO 8859-1.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

from wws import codec, cookies
from wws.errors import Refusal, UpstreamTimeout
from wws.streaming import as_events, encoded
from wws.url import URL

if TYPE_CHECKING:
    from wws.core.auth.user import User
    from wws.core.policy import Route
    from wws.forms import Form

__all__ = ["Body", "Headers", "Outcome", "Pair", "Pieces", "Request", "Response", "Stream", "Transform", "body_too_large"]

Pair = tuple[bytes, bytes]
Octets = bytes  # inside Request, `bytes` is the method
Outcome = str
"""How a response ended: `done`, `cut`, `stall`, `client_closed`, `stopped` (by the end of our own process) or `error`."""

# RFC 9110 section 5.1: field-name = token; section 5.5: no CR, LF or NUL in a field value.
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def _pair(name: str | bytes, value: str | bytes) -> Pair:
    raw_name = (name.encode("latin-1") if isinstance(name, str) else name).lower()
    raw_value = value.encode("latin-1") if isinstance(value, str) else value
    if not _NAME.fullmatch(raw_name):
        raise ValueError(f"not a header name: {raw_name!r}")
    if _BAD_VALUE.search(raw_value):
        raise ValueError(f"control character in the value of header {raw_name.decode()}")
    return raw_name, raw_value.strip(b" \t")


class Headers:
    """An ordered multimap of header fields.

    Built from a mapping or pairs (names and values are checked, `ValueError` when one is not allowed), or with
    `Headers.trusted` from pairs that a parser has already checked and whose names are lower case.
    """

    __slots__ = ("_map", "raw")

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]] | None = None) -> None:
        self.raw: list[Pair] = []
        self._map: dict[bytes, bytes] | None = None
        if fields is not None:
            pairs = fields.items() if isinstance(fields, Mapping) else fields
            self.raw = [_pair(name, value) for name, value in pairs]

    @staticmethod
    def trusted(raw: list[Pair], first: dict[bytes, bytes] | None = None) -> Headers:
        """Headers of pairs known to be good; `first`, when given, is their name-to-value dictionary."""
        headers = Headers()
        headers.raw = raw
        headers._map = first
        return headers

    @property
    def first(self) -> dict[bytes, bytes]:
        """Name to value, for fields that must not repeat. Where one does, which value wins is not defined."""
        if self._map is None:
            self._map = dict(self.raw)
        return self._map

    def get(self, name: str, default: str | None = None) -> str | None:
        """The values of `name` joined with `, ` (RFC 9110 section 5.3), or `default`."""
        key = name.lower().encode("latin-1")
        values = [value for field, value in self.raw if field == key]
        return b", ".join(values).decode("latin-1") if values else default

    def getall(self, name: str) -> list[str]:
        """Each value of `name`, in order."""
        key = name.lower().encode("latin-1")
        return [value.decode("latin-1") for field, value in self.raw if field == key]

    def has(self, name: str) -> bool:
        """Whether there is a field of this name."""
        return name in self

    def set(self, name: str, value: str) -> None:
        """Replaces every field of this name by one."""
        pair = _pair(name, value)
        self.raw = [field for field in self.raw if field[0] != pair[0]]
        self.raw.append(pair)
        self._map = None

    def append(self, name: str, value: str) -> None:
        """Adds a field beside those there are."""
        self.raw.append(_pair(name, value))
        self._map = None

    def delete(self, name: str) -> None:
        """Removes every field of this name."""
        key = name.lower().encode("latin-1")
        self.raw = [field for field in self.raw if field[0] != key]
        self._map = None

    def items(self) -> list[tuple[str, str]]:
        """The fields as text, in order."""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw]

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower().encode("latin-1") in self.first

    def __len__(self) -> int:
        return len(self.raw)

    def __repr__(self) -> str:
        return f"Headers({len(self.raw)} fields)"  # values may be secrets


class Pieces:
    """Bytes that are here already, to be iterated over like a stream's."""

    __slots__ = ("_left",)

    def __init__(self, pieces: list[bytes]) -> None:
        self._left = pieces[::-1]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class Body:
    """A request's body. This one is in memory; hosts derive theirs, which still arrives.

    `length` is the number of bytes announced, None when it is not known beforehand.
    """

    __slots__ = ("_data", "length")

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self.length: int | None = len(data)

    def ready(self) -> bytes | None:
        """The whole body when it is here already, without waiting."""
        return self._data

    async def read(self, limit: int | None = None) -> bytes:
        """The whole body. Raises `Refusal` with `body_too_large` past `limit` bytes, `client_closed` when it ends early."""
        if limit is not None and len(self._data) > limit:
            raise body_too_large(limit)
        return self._data

    def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces as they arrive; once only. Raises as `read` does when it ends early."""
        return Pieces([self._data] if self._data else [])


def body_too_large(limit: int) -> Refusal:
    """The refusal of a body of more than `limit` bytes."""
    return Refusal("body_too_large", f"The body is larger than the {limit} bytes allowed here.")


class Parts(Body):
    """A body to send whose bytes lie in several places: who can, writes them from there; for others they are joined."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[bytes | memoryview]) -> None:
        self.parts = parts
        self._data = b""
        self.length = sum([len(part) for part in parts])

    def ready(self) -> bytes:
        """All of it."""
        if not self._data:
            self._data = b"".join(self.parts)
        return self._data

    async def read(self, limit: int | None = None) -> bytes:
        """See `Body`."""
        return await Body(self.ready()).read(limit)

    def chunks(self) -> AsyncIterator[bytes]:
        """See `Body`."""
        return Body(self.ready()).chunks()


EMPTY = Body()


class Request:
    """A request as the gateway and the functions see it.

    `target` is the request target in origin form as it was received; `path` and `query_string` are its raw parts, never
    rebuilt from `Host`. `client` is the address the host or a trusted proxy vouches for ("" when unknown). `user` and
    `route` are set by the gateway; a caller's headers never set them. `limit` is the largest body in bytes that may be read
    where a read names none.
    """

    __slots__ = (
        "authority",
        "body",
        "client",
        "headers",
        "limit",
        "method",
        "params",
        "path",
        "query_string",
        "route",
        "scheme",
        "user",
    )

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers | Mapping[str, str] | None = None,
        body: Body | Octets | str = EMPTY,
        *,
        authority: str = "localhost",
        scheme: str = "http",
        client: str = "",
    ) -> None:
        self.method = method
        self.path, _, self.query_string = target.partition("?")
        self.headers = headers if isinstance(headers, Headers) else Headers(headers or {})
        self.body = body if isinstance(body, Body) else Body(body.encode() if isinstance(body, str) else body)
        self.authority = authority
        self.scheme = scheme
        self.client = client
        self.params: Mapping[str, str] = {}
        self.user: User | None = None
        self.route: Route | None = None
        self.limit: int | None = None

    @classmethod
    def of(
        cls,
        url: str,
        method: str = "GET",
        headers: Headers | Mapping[str, str] | None = None,
        body: Body | Octets | str = EMPTY,
        *,
        base: Request | None = None,
    ) -> Request:
        """A request to an address; a relative one, `/path` say, begins at that of `base`. Raises `ValueError` for another scheme
        than http and https."""
        parts = urlsplit(url if base is None else urljoin(base.url, url))
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"{url!r} is not an http:// or https:// address")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(method, target, headers, body, authority=parts.netloc, scheme=parts.scheme)

    @property
    def target(self) -> str:
        """Path and query as received."""
        return f"{self.path}?{self.query_string}" if self.query_string else self.path

    @property
    def url(self) -> URL:
        """The absolute URL, for show and for building others; nothing is decided on it."""
        return URL(f"{self.scheme}://{self.authority}{self.target}")

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that came, by name."""
        return cookies.parse("; ".join(self.headers.getall("cookie")))

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded; the last of several with one name."""
        text = self.query_string
        if "%" not in text and "+" not in text:  # as most are; there is nothing to decode
            return {name: value for name, _, value in [part.partition("=") for part in text.split("&") if part]}
        return {name: values[-1] for name, values in parse_qs(self.query_string, keep_blank_values=True).items()}

    @property
    def decoded_path(self) -> str:
        """The path with its percent-escapes decoded, for show."""
        return unquote(self.path)

    async def bytes(self, limit: int | None = None) -> Octets:
        """The body; see `Body.read` for what is raised."""
        return await self.body.read(self.limit if limit is None else limit)

    async def text(self, limit: int | None = None) -> str:
        """The body as UTF-8; `Refusal` with `invalid_request` when it is not."""
        try:
            return (await self.bytes(limit)).decode()
        except UnicodeDecodeError:
            raise Refusal("invalid_request", "The body is not UTF-8.") from None

    async def json(self, limit: int | None = None) -> Any:
        """The body as a JSON value; `Refusal` with `invalid_json` when it is none."""
        try:
            return codec.decode(await self.bytes(limit))
        except ValueError:
            raise Refusal("invalid_json") from None

    async def form(self, limit: int | None = None) -> Form:
        """The body as a form: fields as texts, files as `File`. `Refusal` when it is none, or malformed."""
        from wws import forms  # brings the standard library's mail parser along

        return forms.read(self.headers.get("content-type"), await self.bytes(limit))

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"


class Transform(Protocol):
    """What watches, and may change, a stream's bytes on their way through; no I/O."""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes to send for `chunk`: the same, others, or none."""
        ...

    def end(self, outcome: Outcome) -> bytes:
        """The stream ended, well (`done`) or not: the last bytes to send."""
        ...


class Stream:
    """A response body that arrives in pieces. Hosts derive their own where they can pass bytes on without waking a task.

    Iterating yields the source's bytes; a source that fails raises `UpstreamError`. `transform`, when set, is applied by the
    host that sends the stream, once for each chunk and once at its end. `held` are bytes to be sent before all others, as they
    are: those of the beginning, when somebody has read it with `next`.
    """

    __slots__ = ("_close", "_iterator", "_source", "held", "transform")

    def __init__(self, source: AsyncIterable[bytes], close: Callable[[], Awaitable[None]] | None = None) -> None:
        self._source = source
        self._close = close
        self._iterator: AsyncIterator[bytes] | None = None
        self.held = b""
        self.transform: Transform | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._source.__aiter__() if self._iterator is None else self._iterator

    async def next(self, until: float = inf) -> bytes:
        """What comes next, b"" at the end. Whoever reads on by iterating, or sends the stream, gets what comes after it.

        Raises `UpstreamError` when the source fails, of which `UpstreamTimeout` (`first_token`) when nothing has come by
        `until`, in seconds of the event loop's clock; the source is then closed.
        """
        if self._iterator is None:
            self._iterator = self._source.__aiter__()
        if until == inf:
            return await self._some(self._iterator)
        loop = asyncio.get_running_loop()
        reading = loop.create_task(self._some(self._iterator))
        try:
            await asyncio.wait({reading}, timeout=max(0.0, until - loop.time()))
        except asyncio.CancelledError:
            reading.cancel()
            raise
        if not reading.done():
            reading.cancel()
            await self.aclose()
            raise UpstreamTimeout("first_token")
        return reading.result()

    @staticmethod
    async def _some(iterator: AsyncIterator[bytes]) -> bytes:
        async for data in iterator:
            if data:
                return data
        return b""

    async def aclose(self) -> None:
        """Stops the source; nothing more is read from it."""
        if self._close is not None:
            await self._close()


class Response:
    """An answer: status, headers, and a body in memory or as a `Stream`.

    `notes` are the gateway's own header lines ("name: value\\r\\n" each), kept apart from `headers` so that a host can send them
    as one piece. `length` is the Content-Length to announce for a stream, or for an answer to HEAD; None where it is not known.
    `finish`, when set, is called by the host once with the `Outcome` and the number of body bytes sent. `upgrade`, set for a 101
    only, is what the host joins to the client's connection.
    """

    __slots__ = ("body", "finish", "headers", "length", "notes", "status", "upgrade")

    def __init__(
        self,
        body: bytes | str | Stream | None = None,
        status: int = 200,
        headers: Headers | Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.headers = headers if isinstance(headers, Headers) else Headers(headers or {})
        self.body: bytes | Stream = body.encode() if isinstance(body, str) else b"" if body is None else body
        self.notes = ""
        self.length: int | None = None
        self.finish: Callable[[Outcome, int], None] | None = None
        self.upgrade: Any

    @classmethod
    def _typed(cls, body: bytes | Stream, kind: bytes, status: int, headers: Mapping[str, str] | None) -> Response:
        if headers is None:
            return cls(body, status, Headers.trusted([(b"content-type", kind)]))
        response = cls(body, status, headers)
        if "content-type" not in response.headers:
            response.headers.raw.append((b"content-type", kind))
            response.headers._map = None
        return response

    @classmethod
    def json(cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """`value` as JSON."""
        return cls._typed(codec.encode(value), b"application/json", status, headers)

    @classmethod
    def text(cls, value: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Plain text."""
        return cls._typed(value.encode(), b"text/plain; charset=utf-8", status, headers)

    @classmethod
    def html(cls, value: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A page."""
        return cls._typed(value.encode(), b"text/html; charset=utf-8", status, headers)

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> Response:
        """A redirect to `location`; 301, 302, 303, 307 or 308."""
        if status not in (301, 302, 303, 307, 308):
            raise ValueError(f"{status} is not a redirect status")
        return cls(None, status, {"location": location})

    @classmethod
    def stream(cls, chunks: AsyncIterable[bytes | str], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A body sent piece by piece as `chunks` yields."""
        return cls._typed(Stream(encoded(chunks)), b"application/octet-stream", status, headers)

    @classmethod
    def sse(cls, events: AsyncIterable[object], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Server-sent events: each text, or value sent as JSON, becomes one `data:` event."""
        fields = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no", **(headers or {})}
        return cls._typed(Stream(as_events(events)), b"text/event-stream", status, fields)

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = True,
        http_only: bool = True,
        same_site: str = "Lax",
    ) -> None:
        """Sets a cookie; `max_age` in seconds, None: until the browser closes. `ValueError` for what no cookie can hold."""
        if same_site not in ("Lax", "Strict", "None"):
            raise ValueError(f"same_site is Lax, Strict or None, not {same_site!r}")
        line = cookies.render(
            name, value, max_age=max_age, path=path, domain=domain, secure=secure, http_only=http_only, same_site=same_site
        )
        self.headers.append("set-cookie", line)

    def delete_cookie(self, name: str, *, path: str = "/", domain: str | None = None) -> None:
        """Has the browser forget a cookie that was set with this path and domain."""
        self.set_cookie(name, "", max_age=0, path=path, domain=domain)

    def __repr__(self) -> str:
        return f"<Response {self.status}>"
