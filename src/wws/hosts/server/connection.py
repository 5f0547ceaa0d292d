"""One client connection: bytes to requests, responses to bytes, one request at a time, in order.

States: a head is awaited or arrives; a request is answered (its body may still arrive); a refusal has been sent and
what still comes is thrown away. Timers are looked at by `check`, which the server calls every tick.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import httptools

from wws.core.wire import head as rules
from wws.errors import Refusal
from wws.hosts.server import native, outgoing
from wws.hosts.server.incoming import IncomingBody
from wws.hosts.server.limits import DRAIN_IDLE, HIGH_WATER, ServerLimits
from wws.hosts.server.pump import Pump
from wws.hosts.server.tasks import Run
from wws.http import Body, Headers, Pair, Request, Response

if TYPE_CHECKING:
    from wws.hosts.server.server import Server

_SWITCHING: Final = 101
_read: Final = native.read_request
_NO_BODY: Final = Body()
_new: Final = tuple.__new__  # the constructor of a NamedTuple costs three times as much, and this runs for every request
_names: dict[bytes, bytes] = {}
"""Names of fields as they were sent -> in lower case. The same few come with every request."""
_NAMES_REMEMBERED: Final = 512
_NAME_REMEMBERED: Final = 64  # bytes of one that is
_METHODS: Final = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")}
_VERSION_ERROR: Final = "Invalid HTTP version"
_TOO_LARGE: Final = rules.Refused(431, "The header block is too large.")
_TRAILERS: Final = "The body's framing or trailer section is too large."
_DATA_AFTER_CLOSE: Final = "Data after `Connection: close`"


class _Turn(NamedTuple):
    """A request that waits for its turn, or a refusal in its place."""

    request: Request | None
    keep_alive: bool
    version_1_0: bool = False
    refused: rules.Refused | None = None


class Transport(Protocol):
    """What is used of an asyncio transport."""

    def write(self, data: bytes) -> None: ...
    def writelines(self, pieces: Sequence[bytes]) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def can_write_eof(self) -> bool: ...
    def write_eof(self) -> None: ...
    def is_closing(self) -> bool: ...
    def get_extra_info(self, name: str, default: Any = None) -> Any: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def get_write_buffer_size(self) -> int: ...


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


class Connection:
    """The protocol object of one accepted socket: an `asyncio.Protocol` in all but ancestry, which compiled code pays for."""

    __slots__ = (
        "_backlog", "_body", "_body_mark", "_body_since", "_closing", "_discarded", "_fields", "_head_bytes",
        "_head_since", "_held", "_inside", "_keep_alive", "_left", "_loop", "_parser", "_paused", "_pump", "_read",
        "_request", "_run", "_seen", "_server", "_skipped", "_stalled", "_target", "_transport", "_tunnel", "_turns",
        "_version_1_0", "peer",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = server.loop
        self._transport: Transport | None = None
        self.peer = ""
        # the message being read
        self._left = 0  # bytes of a plain message's body that have not come
        self._parser: Any = None  # of messages that are not plain, once there was one
        self._inside = False  # what comes next is the parser's
        self._target = b""
        self._fields: list[Pair] = []
        self._read = 0  # bytes of the last read
        self._head_bytes = 0  # of this head, or since the last content of a body: what framing and trailers take
        self._head_since: float | None = server.loop.time()
        self._body: IncomingBody | None = None
        self._body_since = 0.0  # start of the window in which the body's rate is judged
        self._skipped = False  # the parser takes this message to have no body
        self._body_mark = 0  # bytes of the body there were then
        # the request being answered, and those that wait
        self._turns: deque[_Turn] = deque()
        self._request: Request | None = None
        self._keep_alive = True
        self._version_1_0 = False
        self._run: Run | None = None
        self._pump: Pump | None = None
        self._tunnel: Any = None  # what the connection's bytes belong to once it has switched protocols
        # the connection
        self._held = False  # reading is paused because requests wait for their turn
        self._paused = False
        self._stalled: float | None = None  # since when the client takes nothing
        self._backlog = 0  # bytes not taken when we last looked
        self._closing: float | None = None
        self._discarded = 0
        self._seen = server.loop.time()

    # asyncio.Protocol

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        transport.set_write_buffer_limits(high=HIGH_WATER)
        if not self._server.opened(self):
            self._refuse(503, "Too many connections.")
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.closed(self)
        self._transport = None
        self._turns.clear()
        if self._body is not None:
            self._body.fail(Refusal("client_closed"))
        if self._run is not None:
            self._run.cancel()
        if self._pump is not None:
            self._pump.abort()
        if self._tunnel is not None:
            self._tunnel.lost()
        # It and its parser hold each other: without this each closed connection would wait for the collector.
        self._deafen()

    def eof_received(self) -> bool:
        """The client has closed its sending side, and is taken for gone: what runs for it is cancelled.

        A client that closes for good looks the same as one that only says it has no more to send, and the first is what
        happens: an answer nobody reads must not be paid for. nginx and Go's net/http do alike. What is answered already
        is still sent.
        """
        self._server.outbox.flush()
        if self._request is not None and self._transport is not None:
            self._transport.abort()
        return False

    def pause_writing(self) -> None:
        self._paused = True
        self._stalled = self._loop.time()
        self._backlog = 0 if self._transport is None else self._transport.get_write_buffer_size()
        if self._pump is not None:
            self._pump.pause()
        elif self._tunnel is not None:
            self._tunnel.pause()

    def resume_writing(self) -> None:
        self._paused = False
        self._stalled = None
        if self._pump is not None:
            self._pump.resume()
        elif self._tunnel is not None:
            self._tunnel.resume()
        elif self._turns:
            self._loop.call_soon(self._take_turn)

    def data_received(self, data: bytes) -> None:
        if self._closing is not None:
            self._discard(len(data))
            return
        if self._tunnel is not None:
            self._tunnel.feed(data)
            return
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
        if self._turns:
            if self._request is None and not self._paused:
                self._next()
            elif not self._held and self._transport is not None:
                self._held = True
                self._transport.pause_reading()
        if self._body is not None and self._closing is None:
            self._body.settle()

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
        body: Body = _NO_BODY
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
        self._read = size = len(data)
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
        long = self._head_bytes > rules.MAX_HEADER_BYTES or self._read > rules.MAX_HEADER_BYTES
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
        body: Body = _NO_BODY
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
        self._turns.append(_new(_Turn, (request, keep_alive, version_1_0, None)))

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

    # requests, in order

    def _client(self, fields: list[Pair]) -> str:
        values = [value.decode("latin-1") for name, value in fields if name == b"x-forwarded-for"]
        return self._server.client_address(self.peer, values)

    def _next(self) -> None:
        """Starts the first of the waiting requests."""
        turn = self._turns.popleft()
        if self._held and not self._turns:
            self._read_on()
        if turn.refused is not None or turn.request is None:
            status, reason = turn.refused or rules.Refused(400, "Bad request.")
            self._refuse(status, reason)
            return
        self._request = turn.request
        self._keep_alive = turn.keep_alive
        self._version_1_0 = turn.version_1_0
        self._run = run = Run(self._server.app(turn.request), self._loop, self._answered)
        run.resume(None)

    def _answered(self, response: Response | None, error: BaseException | None) -> None:
        self._run = None
        request = self._request
        if isinstance(error, asyncio.CancelledError):
            if self._transport is not None and self._closing is None:
                self._transport.abort()
        elif self._transport is None or request is None:
            if response is not None:
                self._abandon(response)
        elif error is not None or response is None:
            self._respond(self._server.failed(request, error))
        else:
            try:
                self._respond(response)
            except Exception as unsendable:  # a status that is none, or a field that is no ISO 8859-1: nothing is sent yet
                self._pump = None
                self._abandon(response)
                self._respond(self._server.failed(request, unsendable))

    def _abandon(self, response: Response) -> None:
        """An answer came for a client that is gone."""
        if not isinstance(response.body, bytes):
            Pump.drop(response.body)
        if response.finish is not None:
            response.finish("client_closed", 0)

    def _respond(self, response: Response) -> None:
        transport, request = self._transport, self._request
        if transport is None or request is None or self._closing is not None:
            self._abandon(response)
            return
        if response.status == _SWITCHING:
            self._switch(transport, request, response)
            return
        body = request.body
        if body is not _NO_BODY and isinstance(body, IncomingBody) and not body.complete:
            # The next request would have to be found behind bytes nobody wants: close instead, and say so.
            self._keep_alive = False
            failed = body.failed
            if failed is not None and response.status < 400:
                self._abandon(response)
                self._refuse(failed.row.status, failed.message)
                return
        close = not self._keep_alive or self._server.draining
        content = response.body
        if isinstance(content, bytes):
            self._send_whole(transport, request, response, content, close)
        else:
            self._server.outbox.flush()
            self._pump = Pump(self, transport, request, response, close, self._version_1_0)
            self._pump.start()
            if self._paused and self._pump is not None:
                self._pump.pause()

    def _switch(self, transport: Transport, request: Request, response: Response) -> None:
        """Goes on in another protocol: from here on the connection's bytes are the tunnel's."""
        tunnel = getattr(response, "upgrade", None)
        if tunnel is None or self._turns:
            self._abandon(response)
            self._respond(self._server.failed(request, ValueError("101 is no answer of a function's own")))
            return
        self._server.outbox.flush()
        self._tunnel = tunnel
        tunnel.start(transport, response, self._server.date)
        if self._paused:
            tunnel.pause()

    def _send_whole(self, transport: Transport, request: Request, response: Response, content: bytes, close: bool) -> None:
        status = response.status
        size = len(content)
        framing = b"content-length: %d\r\n" % size
        if request.method == "HEAD":
            # RFC 9110 section 8.6: the length a GET would have had, or none at all where that is not known.
            if response.length is not None:
                framing = b"content-length: %d\r\n" % response.length
            elif not content:
                framing = b""
            content = b""
        if status in outgoing.BODILESS:
            framing, content = b"", b""
        data = outgoing.whole(response, self._server.date, framing, close, content)
        if close:
            self._server.outbox.flush()
            transport.write(data)
        else:
            self._server.outbox.post(transport, data)
        if response.finish is not None:
            response.finish("done", len(content))
        self.sent(close)

    def sent(self, close: bool) -> None:
        """The answer is on its way: closes, or takes the next request. Called by the pump too."""
        self._pump = None
        self._request = None
        self._seen = self._loop.time()
        self._head_since = None
        transport = self._transport
        if transport is None:
            return
        if close:
            if self._body is not None:
                self._linger()
            else:
                self._close()
        elif self._turns:
            self._loop.call_soon(self._take_turn)
        elif self._held:
            self._read_on()

    def _take_turn(self) -> None:
        waiting = self._turns and self._request is None and not self._paused
        if waiting and self._transport is not None and self._closing is None:
            self._next()

    def _read_on(self) -> None:
        """No request waits any more: reads again, unless a body of its own accord must wait for its reader."""
        self._held = False
        if self._body is None or not self._body.paused:
            self._flow(True)

    # refusals

    def _queue_refusal(self, refused: rules.Refused) -> None:
        """Refuses the message being parsed, after those before it; nothing behind it is read."""
        self._turns.append(_Turn(None, False, refused=refused))
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

    def _refuse(self, status: int, reason: str) -> None:
        """Answers once, then closes; what the client still sends is thrown away for a moment."""
        if self._transport is None or self._closing is not None:
            return
        self._server.outbox.flush()
        self._transport.write(outgoing.refusal(status, reason, self._server.date))
        self._server.refused(status)
        self._linger()

    def _linger(self) -> None:
        """Half-closes and reads on for a moment: a reset would destroy an answer the client has not read yet."""
        transport = self._transport
        if transport is None:
            return
        self._turns.clear()
        self._closing = self._loop.time()
        self._backlog = transport.get_write_buffer_size()
        if transport.can_write_eof():
            transport.write_eof()
        transport.resume_reading()

    def _close(self) -> None:
        """Closes when what was written has been sent."""
        transport = self._transport
        if transport is None:
            return
        self._turns.clear()
        self._closing = self._loop.time()
        self._backlog = transport.get_write_buffer_size()
        self._server.outbox.flush()
        transport.close()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > self._server.limits.linger_bytes and self._transport is not None:
            self._transport.abort()

    # flow and timers

    def _flow(self, read: bool) -> None:
        if self._transport is not None:
            if read:
                self._body_since = self._loop.time()
                self._body_mark = 0 if self._body is None else self._body.received
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _continue(self) -> None:
        # Not in the midst of an answer whose head is sent already.
        if self._transport is not None and self._pump is None and self._closing is None:
            self._server.outbox.flush()
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def check(self, now: float) -> None:
        """Acts on what has taken too long at `now`; called every tick."""
        limits, transport = self._server.limits, self._transport
        if transport is None:
            return
        if self._pump is not None:
            self._pump.check(now, self._stalled is not None)
        if self._closing is not None:
            self._check_closing(now, limits, transport)
        elif self._stalled is not None:
            left = transport.get_write_buffer_size()
            if left < self._backlog:
                self._stalled = now
            elif now - self._stalled > limits.write_stall:
                transport.abort()
            self._backlog = left
        elif self._body is not None and self._body.wanted:
            self._check_rate(now, limits, self._body)
        elif self._request is None:
            if self._head_since is not None:
                if self._server.draining and not self._head_bytes and now - self._head_since > DRAIN_IDLE:
                    self._close()
                elif now - self._head_since > limits.header_timeout:
                    if self._head_bytes > len(b"\r\n"):  # an empty line behind a body begins no request
                        self._refuse(408, "The request did not arrive in time.")
                    else:
                        self._close()
            elif now - self._seen > (DRAIN_IDLE if self._server.draining else limits.keep_alive):
                self._close()

    def _check_rate(self, now: float, limits: ServerLimits, body: IncomingBody) -> None:
        """Judges one window after the other: a fast start does not pay for a slow end."""
        spent = now - self._body_since
        if spent <= limits.body_grace:
            return
        if body.received - self._body_mark < spent * limits.body_rate:
            body.fail(Refusal("request_timeout", "The body arrives too slowly."))
        self._body_since, self._body_mark = now, body.received

    def _check_closing(self, now: float, limits: ServerLimits, transport: Transport) -> None:
        left = transport.get_write_buffer_size()
        if left < self._backlog:
            self._closing, self._backlog = now, left
        elif self._closing is not None and now - self._closing > (limits.write_stall if left else limits.linger):
            transport.abort()

    @property
    def unsent(self) -> int:
        """Bytes written that the client has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def date(self) -> bytes:
        """The Date line of this second."""
        return self._server.date

    def stream_failed(self, request: Request, error: Exception) -> None:
        """A streamed answer raised on its way."""
        self._server.stream_failed(request, error)

    def drain(self) -> None:
        """The server stops: a busy connection closes after its answer, an idle one when it has been idle for a moment."""
        if self._tunnel is not None:
            self._close()  # it may go on for days; its client connects anew
        elif self._pump is not None:
            self._pump.close_after()
        else:
            self.check(self._loop.time())

    def expire(self) -> None:
        """The time that a stopping server gives is over: a stream ends with an error, an unanswered request with 503."""
        if self._pump is not None:
            self._pump.expire()
        elif self._run is not None and self._transport is not None and self._closing is None:
            run, request = self._run, self._request
            if request is not None:
                self._respond(self._server.stopping(request))
            run.cancel()
        else:
            self.abort()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()


class _BodyOnly:
    """The callbacks of a parser that reads one body on a connection's behalf."""

    __slots__ = ("on_body", "on_message_complete")

    def __init__(self, connection: Connection) -> None:
        self.on_body = connection.on_body
        self.on_message_complete = connection.on_message_complete


def _size(fields: list[Pair]) -> int:
    return sum([len(name) + len(value) + 4 for name, value in fields])


class _Stop(Exception):
    """Stops the parser; the reason is already queued."""
