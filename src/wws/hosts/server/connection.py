"""One client connection: requests to answers, one at a time, in order. `reading` has the half that reads.

States: a head is awaited or arrives; a request is answered (its body may still arrive); a refusal has been sent and
what still comes is thrown away. Timers are looked at by `check`, which the server calls every tick.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from wws.core.wire import head as rules
from wws.errors import Refusal
from wws.hosts.server import outgoing
from wws.hosts.server.incoming import IncomingBody
from wws.hosts.server.limits import DRAIN_IDLE, HIGH_WATER, ServerLimits
from wws.hosts.server.pump import Pump
from wws.hosts.server.reading import NO_BODY, Reader
from wws.hosts.server.tasks import Run
from wws.http import Request, Response

if TYPE_CHECKING:
    from wws.hosts.server.server import Server
    from wws.hosts.server.transport import Transport

_SWITCHING: Final = 101


class Connection(Reader):
    """The protocol object of one accepted socket: an `asyncio.Protocol` in all but ancestry, which compiled code pays for."""

    __slots__ = (
        "_backlog", "_discarded", "_held", "_paused", "_pump", "_request", "_run", "_stalled", "_tunnel", "_version_1_0",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        # the request being answered
        self._request: Request | None = None
        self._version_1_0 = False
        self._run: Run | None = None
        self._pump: Pump | None = None
        self._tunnel: Any = None  # what the connection's bytes belong to once it has switched protocols
        # the connection
        self._held = False  # reading is paused because requests wait for their turn
        self._paused = False
        self._stalled: float | None = None  # since when the client takes nothing
        self._backlog = 0  # bytes not taken when we last looked
        self._discarded = 0

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
        self._take(data)
        if self._turns:
            if self._request is None and not self._paused:
                self._next()
            elif not self._held and self._transport is not None:
                self._held = True
                self._transport.pause_reading()
        self._settle()

    def _settle(self) -> None:
        if self._body is not None and self._closing is None:
            self._body.settle()

    # requests, in order

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
        if body is not NO_BODY and isinstance(body, IncomingBody) and not body.complete:
            # The next request would have to be found behind bytes nobody wants: close instead, and say so.
            self._keep_alive = False
            body.answered()
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

    # timers

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
