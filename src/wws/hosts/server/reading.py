"""The half of a client connection that reads: bytes to requests, each of which waits for its turn.

A head is awaited or arrives; a body may still arrive while its request is answered; after a refusal nothing is understood.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httptools

from wws.core.text import record
from wws.core.wire import head as rules
from wws.errors import Refusal
from wws.hosts.server import native
from wws.hosts.server.incoming import IncomingBody
from wws.http import Body, Headers, Pair, Request

if TYPE_CHECKING:
    from wws.hosts.server.server import Server
    from wws.hosts.server.transport import Transport

NO_BODY: Final = Body()
_read: Final = native.read_request
_record: Final = record
_names: dict[bytes, bytes] = {}
"""Names of fields as they were sent -> in lower case. The same few come with every request."""
_NAMES_REMEMBERED: Final = 512
_NAME_REMEMBERED: Final = 64  # bytes of one that is
_METHODS: Final = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")}
_VERSION_ERROR: Final = "Invalid HTTP version"
_TOO_LARGE: Final = rules.Refused(431, "The header block is too large.")
_TRAILERS: Final = "The body's framing or trailer section is too large."
_DATA_AFTER_CLOSE: Final = "Data after `Connection: close`"


class Turn(NamedTuple):
    """A request that waits for its turn, or a refusal in its place."""

    request: Request | None
    keep_alive: bool
    version_1_0: bool = False
    refused: rules.Refused | None = None


def _lower(name: bytes) -> bytes:
    low = name.lower()
    if len(name) <= _NAME_REMEMBERED:
        if len(_names) >= _NAMES_REMEMBERED:
            _names.clear()
        low = _names[name] = _names.setdefault(low, low)
    return low


class _Deaf:
    """In place of the parser once nothing more is to be understood."""

    @staticmethod
    def feed_data(data: bytes) -> None:
        """Throws the bytes away."""


_DEAF: Final = _Deaf()


class Reader:
    """Reads the requests of one client into `_turns`. A `Connection` is one."""

    __slots__ = (
        "_body", "_body_mark", "_body_since", "_closing", "_fields", "_head_bytes", "_head_since", "_inside", "_keep_alive",
        "_left", "_loop", "_parser", "_seen", "_server", "_size", "_skipped", "_target", "_transport", "_turns", "peer",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = server.loop
        self._seen = server.loop.time()
        self.peer = ""
        self._transport: Transport | None = None
        self._closing: float | None = None  # since when nothing more is answered
        self._turns: deque[Turn] = deque()
        self._keep_alive = True  # of the request being answered
        # the message being read
        self._left = 0  # bytes of a plain message's body that have not come
        self._parser: Any = None  # of messages that are not plain, once there was one
        self._inside = False  # what comes next is the parser's
        self._target = b""
        self._fields: list[Pair] = []
        self._size = 0  # bytes of the last read
        self._head_bytes = 0  # of this head, or since the last content of a body: what framing and trailers take
        self._head_since: float | None = self._seen
        self._body: IncomingBody | None = None
        self._body_since = 0.0  # start of the window in which the body's rate is judged
        self._body_mark = 0  # bytes of the body there were then
        self._skipped = False  # the parser takes this message to have no body

    def _flow(self, read: bool) -> None:
        """Reads on, or stops reading."""
        if self._transport is None:
            return
        if read:
            self._body_since = self._loop.time()
            self._body_mark = 0 if self._body is None else self._body.received
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _continue(self) -> None:
        """Tells the client to send its body."""
        if self._transport is not None and self._closing is None:
            self._server.outbox.flush()
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _take(self, data: bytes) -> None:
        """More has come."""
        self._seen = now = self._loop.time()
        if self._head_since is None and self._body is None:
            self._head_since = now
        if self._left:
            data = self._more(data)
        while data and not self._inside:
            rest = self._plain(data)
            if rest is None:
                self._inside = True
            else:
                data = rest
        if data:
            self._parse(data)

    # plain messages

    def _plain(self, data: bytes) -> bytes | None:
        """Takes the message that `data` begins with, if its head is plain, and gives back what follows it; None: it is not."""
        head = None if _read is None else _read(data, rules.MAX_HEADER_BYTES)
        if head is None:
            return None
        begin, method, target, host, fields, first, length = head
        authority = rules.authority_of(host)
        if authority is None:
            return None
        self._head_since = None
        if self._full():
            return data
        end = begin + length
        body: Body = NO_BODY
        if length:
            if len(data) >= end:
                body = Body(data[begin:end])
            else:
                body = self._receive(length, None)
                self._left = end - len(data)
                if len(data) > begin:
                    self._feed(data[begin:])
        self._arrived(method, target, authority, fields, first, body, True, False)
        return data[end:] if len(data) > end else b""

    def _more(self, data: bytes) -> bytes:
        """More of a plain message's body; gives back what follows it."""
        left = self._left
        here, rest = (data, b"") if len(data) <= left else (data[:left], data[left:])
        self._left = left - len(here)
        self._feed(here)
        if not self._left:
            self._whole()
        return rest

    # messages that are not plain, by the parser

    def _parse(self, data: bytes) -> None:
        if self._parser is None:
            self._parser = httptools.HttpRequestParser(self)
        self._size = size = len(data)
        self._head_bytes += size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade_ignored(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._malformed(error)
        else:
            if self._head_since is not None and self._head_bytes > rules.MAX_HEADER_BYTES + rules.MAX_TARGET:
                self._queue_refusal(_TOO_LARGE)
            elif self._body is not None and (self._head_bytes > rules.MAX_HEADER_BYTES or len(self._fields) > rules.MAX_HEADERS):
                self._body_malformed(_TRAILERS)

    def _deafen(self) -> None:
        """Nothing more is to be understood."""
        self._parser = _DEAF
        self._inside = True
        self._left = 0

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._inside = True

    def on_url(self, piece: bytes) -> None:
        self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((_names.get(name) or _lower(name), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        fields, self._fields = self._fields, []  # what comes after is the trailer section, which nobody reads
        target, self._target = self._target, b""
        first = dict(fields)
        self._head_since = None
        version = parser.get_http_version()
        method = parser.get_method()
        long = self._head_bytes > rules.MAX_HEADER_BYTES or self._size > rules.MAX_HEADER_BYTES
        if long and _size(fields) > rules.MAX_HEADER_BYTES:
            self._queue_refusal(_TOO_LARGE)
            raise _Stop
        self._head_bytes = 0
        checked = rules.check(version, method, target, fields, first)
        if isinstance(checked, rules.Refused):
            self._queue_refusal(checked)
            raise _Stop
        if self._full():
            raise _Stop
        origin_form, authority, length = checked
        body: Body = NO_BODY
        if length != 0:
            expects = version == "1.1" and first.get(b"expect", b"").lower() == b"100-continue"
            body = self._receive(length, self._continue if expects else None)
            self._skipped = b"upgrade" in first and parser.should_upgrade()
        # RFC 9112 section 9.3: an HTTP/1.0 client is kept only by agreement; it is spared the doubt.
        one_one = version == "1.1"
        keep_alive = one_one and parser.should_keep_alive()
        text = _METHODS.get(method) or method.decode("ascii")
        self._arrived(text, origin_form, authority, fields, first, body, keep_alive, not one_one)

    def on_body(self, data: bytes) -> None:
        self._head_bytes = 0
        self._feed(data)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        if self._fields:
            if len(self._fields) > rules.MAX_HEADERS or _size(self._fields) > rules.MAX_HEADER_BYTES:
                self._body_malformed(_TRAILERS)
                raise _Stop
            self._fields.clear()
        if not self._skipped:
            self._whole()
        self._inside = not self._parser.should_keep_alive()  # else there is an end of the connection to be judged

    # of both

    def _full(self) -> bool:
        """Whether no more requests may wait for their turn; the one that would is refused."""
        if len(self._turns) < self._server.limits.pipeline:
            return False
        self._queue_refusal(rules.Refused(503, "Too many pipelined requests."))
        return True

    def _arrived(
        self,
        method: str,
        target: str,
        authority: str,
        fields: list[Pair],
        first: dict[bytes, bytes],
        body: Body,
        keep_alive: bool,
        version_1_0: bool,
    ) -> None:
        """A request is known, and waits for its turn."""
        request = Request(
            method,
            target,
            Headers.trusted(fields, first),
            body,
            authority=authority,
            scheme=self._server.scheme,
            client=self.peer if not self._server.proxies else self._client(fields),
        )
        self._turns.append(_record(Turn, request, keep_alive, version_1_0, None))

    def _receive(self, length: int | None, send_continue: Callable[[], None] | None) -> IncomingBody:
        self._body = body = IncomingBody(self._loop, length, self._flow, send_continue)
        self._body_since = self._seen
        self._body_mark = 0
        return body

    def _feed(self, data: bytes) -> None:
        if self._body is not None:
            self._body.put(data)

    def _whole(self) -> None:
        if self._body is not None:
            self._body.finish()
            self._body = None

    def _upgrade_ignored(self, rest: bytes) -> None:
        """RFC 9110 section 7.8: "A server MAY ignore a received Upgrade header field". Java's HTTP client sends it with every
        first request. The connection closes after the answer, since the client might go on in the other protocol.

        The parser takes a request that asks for an upgrade to have no body, so another one reads what there is.
        """
        self._keep_alive_off()
        body = self._body
        if body is None or not self._skipped:
            self._deafen()
            return
        self._skipped = False
        framing = b"transfer-encoding: chunked" if body.length is None else b"content-length: %d" % body.length
        self._inside = True
        self._parser = httptools.HttpRequestParser(_BodyOnly(self))
        self._parser.feed_data(b"POST / HTTP/1.1\r\nconnection: close\r\n%b\r\n\r\n" % framing)
        try:
            self._parser.feed_data(rest)
        except httptools.HttpParserError as error:
            self._malformed(error)

    def _client(self, fields: list[Pair]) -> str:
        values = [value.decode("latin-1") for name, value in fields if name == b"x-forwarded-for"]
        return self._server.client_address(self.peer, values)

    # what is wrong

    def _queue_refusal(self, refused: rules.Refused) -> None:
        """Refuses the message being parsed, after those before it; nothing behind it is read."""
        self._turns.append(Turn(None, False, refused=refused))
        self._head_since = None
        self._deafen()

    def _body_malformed(self, reason: str) -> None:
        """The reader of the body learns that it will never be whole, and no later bytes are looked at."""
        if self._body is not None:
            self._body.fail(Refusal("invalid_request", reason))
        self._keep_alive_off()
        self._deafen()

    def _malformed(self, error: httptools.HttpParserError) -> None:
        if isinstance(error.__context__, _Stop):
            return
        if str(error) == _DATA_AFTER_CLOSE:
            self._deafen()
            return
        if self._body is not None:
            self._body_malformed("The body's framing is malformed.")  # a chunk that is none
            return
        status = 505 if str(error) == _VERSION_ERROR else 400
        self._queue_refusal(rules.Refused(status, f"Malformed request: {error}."))

    def _keep_alive_off(self) -> None:
        if self._turns:
            self._turns[-1] = self._turns[-1]._replace(keep_alive=False)
        else:
            self._keep_alive = False


class _BodyOnly:
    """The callbacks of a parser that reads one body on a connection's behalf."""

    __slots__ = ("on_body", "on_message_complete")

    def __init__(self, reader: Reader) -> None:
        self.on_body = reader.on_body
        self.on_message_complete = reader.on_message_complete


def _size(fields: list[Pair]) -> int:
    return sum([len(name) + len(value) + 4 for name, value in fields])


class _Stop(Exception):
    """Stops the parser; the reason is already queued."""
