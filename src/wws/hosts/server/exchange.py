"""One connection to an upstream, and the one exchange it carries at a time."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

import httptools

from wws.errors import UpstreamCut, UpstreamError, UpstreamMalformed, UpstreamTimeout
from wws.hosts.server import native
from wws.hosts.server.arriving import UpstreamStream
from wws.hosts.server.limits import HIGH_WATER, UPSTREAM_HEADER_BYTES
from wws.hosts.server.outgoing import BODILESS, LAST_CHUNK, chunk
from wws.hosts.server.tasks import Answer
from wws.http import Body, Headers, Pair, Parts, Response

if TYPE_CHECKING:
    from wws.core.policy import Timeouts
    from wws.hosts.server.pool import Pool
    from wws.hosts.server.transport import Transport

_SPENT: Final = httptools.HttpResponseParser(object())
"""In place of the parser of a connection that is closed."""
_SWITCHING: Final = 101
_read: Final = native.read_response
_MAX_TRAILERS: Final = 100


class UpstreamConnection:
    """Sends one request at a time and parses the answers, as strictly as the server side parses requests.

    An `asyncio.Protocol` in all but ancestry, which compiled code pays for.

    `due` is the monotonic second at which the exchange counts as silent; the pool's owner looks at it every tick.
    """

    __slots__ = (
        "_answer", "_clogged", "_complete", "_fields", "_head_bytes", "_head_done", "_inside", "_left", "_paused",
        "_pieces", "_pool", "_stream", "_timeouts", "_total", "_transport", "_upload", "_writable", "answered", "broken", "due",
        "head_request", "idle_since", "keep_alive", "loop", "parser", "phase", "reused", "until_eof",
    )  # fmt: skip

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self.loop = loop
        self._transport: Transport | None = None
        self.parser = httptools.HttpResponseParser(self)
        self.broken = False
        self.reused = False
        self.idle_since = 0.0
        self.due = math.inf
        self.phase = "first_byte"
        self.keep_alive = False
        self.head_request = False
        self.until_eof = False
        self._total = math.inf
        self._timeouts: Timeouts | None = None
        self._answer: asyncio.Future[Response] | Answer | None = None
        self.answered = False
        self._fields: list[Pair] = []
        self._head_bytes = 0
        self._head_done = False
        self._left = 0  # bytes of a plain answer's body that have not come
        self._inside = False  # what comes next is the parser's
        self._complete = True
        self._pieces: list[bytes] = []
        self._stream: UpstreamStream | None = None
        self._paused = False
        self._clogged = False  # the other side does not take what is written
        self._upload: asyncio.Task[None] | None = None
        self._writable: asyncio.Event | None = None

    # an exchange

    def exchange(
        self, head: bytes, body: bytes | Body, method: str, timeouts: Timeouts, deadline: float, free: bool = False
    ) -> asyncio.Future[Response] | Answer:
        """Sends a request; what is given back has the response when its head has come, or the error.

        `head` is everything up to the framing field, which is added here. `free`: who asks runs without a task, and gets an
        `Answer`. `cancel` when it is no longer wanted.
        """
        transport = self._transport
        if transport is None or not self._complete:
            raise RuntimeError("the connection is busy or closed")
        self._complete = self._head_done = self.answered = self._inside = False
        self._left = 0
        self._head_bytes = 0
        self._fields = []
        self.until_eof = False
        self.head_request = method == "HEAD"
        self._timeouts = timeouts
        self._total = deadline
        self.phase = "first_byte"
        self.due = min(self.loop.time() + timeouts.first_byte, deadline)
        answer: asyncio.Future[Response] | Answer = Answer(self.loop, self) if free else self.loop.create_future()
        self._answer = answer
        if isinstance(body, bytes):
            if body or method in _BODY_EXPECTED:
                self._post(transport, b"%bcontent-length: %d\r\n\r\n" % (head, len(body)), body)
            else:
                self._pool.outbox.post(transport, head + b"\r\n")
        elif isinstance(body, Parts):
            if not transport.is_closing():
                transport.writelines((b"%bcontent-length: %d\r\n\r\n" % (head, body.length or 0), *body.parts))
        else:
            self._upload = self.loop.create_task(self._send_body(head, body))
        return answer

    def _post(self, transport: Transport, head: bytes, body: bytes) -> None:
        if len(body) <= HIGH_WATER:
            self._pool.outbox.post(transport, head + body)
        elif not transport.is_closing():
            # Neither copied nor kept waiting: at the end of the turn the other requests would have driven it out of the caches.
            transport.writelines((head, body))

    async def _send_body(self, head: bytes, body: Body) -> None:
        transport = self._transport
        if transport is None:
            return
        chunked = body.length is None
        framing = b"transfer-encoding: chunked\r\n\r\n" if chunked else b"content-length: %d\r\n\r\n" % (body.length or 0)
        self._writable = asyncio.Event()
        self._writable.set()
        transport.write(head + framing)
        try:
            # While the client uploads, the upstream owes nothing: the first byte is due after the last one sent.
            self.due = self._total
            sent = 0
            async for data in body.chunks():
                if not data:
                    continue  # as a chunk it would be the last
                sent += len(data)
                transport.write(chunk(data) if chunked else data)
                if self._clogged:
                    self._expect_idle()
                    await self._writable.wait()
                    self.due = self._total
            if chunked:
                transport.write(LAST_CHUNK)
            elif sent != body.length:
                raise ValueError("the body is not as long as it said")
            if not self._head_done and self._timeouts is not None:
                self.phase = "first_byte"
                self.due = min(self.loop.time() + self._timeouts.first_byte, self._total)
            elif not self._paused:
                self._expect_idle()
        except Exception as error:
            self.fail(error)

    def _expect_idle(self) -> None:
        """Something is due within the idle time."""
        if self._timeouts is not None and not self._complete:
            self.phase = "idle"
            self.due = min(self.loop.time() + self._timeouts.idle, self._total)

    def cancel(self) -> None:
        """Nobody wants the answer: the upstream sees its connection close."""
        if not self._complete or self.broken:
            self._pieces.clear()
            self._stream = None
            self._answer = None
            self._close()

    def forsake(self, answer: asyncio.Future[Response] | Answer) -> None:
        """Nobody waits for `answer` any more; the exchange that goes on meanwhile may be another."""
        if self._answer is answer:
            self.cancel()

    def fail(self, error: Exception) -> None:
        """Ends the exchange with `error` and the connection with it."""
        answer, self._answer = self._answer, None
        stream, self._stream = self._stream, None
        self._close()
        if answer is not None and not answer.done():
            answer.set_exception(error)
        elif stream is not None:
            stream.end(error)

    def _close(self) -> None:
        self.broken = True
        self.due = math.inf
        if self._upload is not None:
            self._upload.cancel()
            self._upload = None
        if self._transport is not None:
            self._transport.abort()

    def discard(self) -> None:
        """Closes a connection that is not to be used again."""
        self._close()

    def expect(self, until: float) -> None:
        """The next piece is due by `until`, if nothing is due sooner."""
        if until < self.due and not self._complete:
            self.phase = "first_token"
            self.due = until

    def check(self, now: float) -> None:
        """Fails the exchange when it has been silent past `due`."""
        if now < self.due:
            return
        phase: Any = "total" if now >= self._total else self.phase
        self.fail(UpstreamTimeout(phase))

    def cut_short(self) -> UpstreamError:
        """What the end of the connection means at this point."""
        return UpstreamCut("closed before the answer was whole", answered=self.answered)

    # asyncio.Protocol

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.broken = True
        if not self._complete:
            if self.until_eof and exc is None and self._head_done:
                self.on_message_complete()
                self._deliver()
            else:
                self.fail(self.cut_short())
        self._pool.gone(self)
        self.parser = _SPENT  # it and its parser hold each other, which only the collector would notice

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._clogged = True
        if self._writable is not None:
            self._writable.clear()

    def resume_writing(self) -> None:
        self._clogged = False
        if self._writable is not None:
            self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._complete:
            self._close()  # bytes nobody asked for: whatever they are, this connection cannot be trusted with another request
            return
        self.answered = True
        if self._left:
            self._more(data)
        elif self._inside or not self._plain(data):
            self._inside = True
            if not self._parse(data):
                return
        if not self._paused:
            self._expect_idle()
        self._deliver()

    # plain answers

    def _plain(self, data: bytes) -> bool:
        """Whether `data` begins a plain answer: then it is taken in. What answers HEAD, or has no content, is for the parser."""
        head = None if _read is None or self.head_request else _read(data, UPSTREAM_HEADER_BYTES)
        if head is None:
            return False
        begin, status, fields, first, length = head
        end = begin + length
        if len(data) > end:
            return False
        self._begin(status, fields, first, length)
        if len(data) > begin:
            self._pieces.append(data[begin:])
        self._left = end - len(data)
        if not self._left:
            self.on_message_complete()
        return True

    def _more(self, data: bytes) -> None:
        """More of a plain answer's body."""
        if len(data) > self._left:  # bytes nobody asked for: this connection cannot be trusted with another request
            data = data[: self._left]
            self.keep_alive = False
        self._pieces.append(data)
        self._left -= len(data)
        if not self._left:
            self.on_message_complete()

    def _begin(self, status: int, fields: list[Pair], first: dict[bytes, bytes], length: int | None) -> None:
        """The head of the answer is known."""
        self._head_done = True
        self._head_bytes = 0
        self.keep_alive = True
        response = Response(b"", status, Headers.trusted(fields, first))
        response.length = length
        self._stream = UpstreamStream(self, response)

    # answers that are not plain, by the parser

    def _parse(self, data: bytes) -> bool:
        """Whether the head has come whole, and nothing is wrong."""
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(UpstreamMalformed("unexpected protocol switch"))
            return False
        except httptools.HttpParserError as error:
            if not self._complete:
                reason = error.__context__ if isinstance(error.__context__, UpstreamMalformed) else UpstreamMalformed(str(error))
                self.fail(reason)
                return False
            self.keep_alive = False
        if not self._head_done:
            if self._head_bytes > UPSTREAM_HEADER_BYTES:
                self.fail(_too_large())
            return False
        if not self._complete and (self._head_bytes > UPSTREAM_HEADER_BYTES or len(self._fields) > _MAX_TRAILERS):
            self.fail(_too_large())
            return False
        return True

    # httptools callbacks

    def on_message_begin(self) -> None:
        if self._complete:
            # A second answer to one request: it would be taken for the next one's.
            raise UpstreamMalformed("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        fields, self._fields = self._fields, []  # what comes after is the trailer section, which nobody reads
        if self._head_bytes > UPSTREAM_HEADER_BYTES:
            size = sum([len(name) + len(value) + 4 for name, value in fields])
            if size > UPSTREAM_HEADER_BYTES:
                raise _too_large()
        if status < 200:
            if status == _SWITCHING or status < 100:
                raise UpstreamMalformed("unexpected protocol switch" if status == _SWITCHING else "no such status")
            return
        first = dict(fields)
        if len(first) != len(fields):
            for name in (b"content-length", b"transfer-encoding"):
                if sum(field == name for field, _ in fields) > 1:
                    raise UpstreamMalformed(f"two {name.decode()} fields")
        coding = first.get(b"transfer-encoding")
        length = first.get(b"content-length")
        # RFC 9112 section 6.1: in an HTTP/1.0 answer "the framing is faulty"; section 6.3, rule 3: beside a length it "ought
        # to be handled as an error".
        if coding is not None and (coding.lower() != b"chunked" or length is not None or self.parser.get_http_version() == "1.0"):
            raise UpstreamMalformed("a transfer coding that is not understood")
        if length is not None and not length.isdigit():
            raise UpstreamMalformed("Content-Length is not a number")
        bodiless = self.head_request or status in BODILESS
        # RFC 9112 section 6.3, rule 8: neither length nor chunked, so the end of the connection ends the body.
        self.until_eof = not bodiless and coding is None and length is None
        self._begin(status, fields, first, int(length) if length is not None and (coding is None or bodiless) else None)
        self.keep_alive = self.parser.should_keep_alive()
        if self.head_request:
            self.on_message_complete()  # the parser does not know that no body follows: it is replaced in _release

    def on_body(self, data: bytes) -> None:
        if self._complete:
            raise UpstreamMalformed("a body where there is none")  # behind an answer to HEAD
        self._head_bytes = 0
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._head_done:
            self._complete = True
            self.due = math.inf

    # delivery

    def _deliver(self) -> None:
        """Hands on what this read brought, in one piece."""
        pieces = self._pieces
        data = b"" if not pieces else pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        stream = self._stream
        if stream is None:
            return
        answer = self._answer
        complete = self._complete
        if complete:
            # Released first: what is woken here may want the connection for its next request.
            self._stream = None
            self._answer = None
            self._release()
        if answer is not None:
            self._answer = None
            response = stream.response
            if complete:
                response.body = data
            else:
                response.body = stream
                stream.feed(data)
            if not answer.done():
                answer.set_result(response)
            elif not complete:
                self._close()  # nobody waits for it any more
        else:
            if data:
                stream.feed(data)
            if complete:
                stream.end(None)

    def _release(self) -> None:
        if self._upload is not None:
            if not self._upload.done():
                self._close()  # answered before the upload was whole
                return
            self._upload = None
        if self.broken or not self.keep_alive or self.until_eof or self._clogged:
            self._close()
            return
        if self.head_request:
            self.parser = httptools.HttpResponseParser(self)
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        self._pool.release(self)

    def hold(self, paused: bool) -> None:
        """Stops or resumes reading; a paused upstream is not silent."""
        if paused == self._paused:
            return
        self._paused = paused
        if self._transport is None or self._complete:
            return
        if paused:
            self._transport.pause_reading()
            self.due = self._total
        else:
            self._transport.resume_reading()
            if self._timeouts is not None:
                self.due = min(self.loop.time() + self._timeouts.idle, self._total)


_BODY_EXPECTED: Final = frozenset({"POST", "PUT", "PATCH"})


def _too_large() -> UpstreamMalformed:
    return UpstreamMalformed("the header block or trailer section is too large")
