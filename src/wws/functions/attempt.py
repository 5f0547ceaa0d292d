"""One call of an AI provider: the answer for the caller, or why there is none.

Nothing of an answer is sent before there is something to see: until then a failure is one that the caller never hears of.
A plain caller is served by streaming upstream (`[attempts] assemble`), so that silence is told from slowness.
"""

from __future__ import annotations

from math import inf
from typing import Final

from wws.bindings import Call, Clock, Context, Services, Verdict
from wws.core.trail import Trail
from wws.core.wire import chat, hygiene, usage
from wws.core.wire.assemble import Assembler, ChatAssembler
from wws.core.wire.assemble_message import MessageAssembler
from wws.core.wire.relay_stream import LINGER, LINGER_DONE, RelayStream
from wws.core.wire.tap import Shape
from wws.errors import UpstreamError, UpstreamMalformed, UpstreamTimeout
from wws.functions.closing import or_close
from wws.functions.ending import PLAIN, SSE, Ending
from wws.functions.failure import CUT, EMPTY, FAILED, Failure, of_transport, of_verdict
from wws.functions.upstreams import QUOTAS, Upstream
from wws.http import Headers, Request, Response, Stream

__all__ = ["ASSEMBLED", "attempt", "heard", "outgoing", "read_on"]

MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of a provider's answer that is read whole: embeddings of a full batch are some 30 MiB."""

_JSON: Final = (b"content-type", b"application/json")
ASSEMBLED: Final = frozenset({"chat", "messages"})
"""Operations whose answer can be put together from a stream."""
# How servers say that they do not stream, in the text of a 400.
_NO_STREAMS: Final = (b'"stream"', b"'stream'", b"`stream`", b"streaming", b"Streaming", b"stream=", b"stream:")
_COMMENT: Final = b":"


def outgoing(call: chat.Chat, upstream: Upstream, headers: Headers, deadline: float, assemble: bool) -> Call:
    """The call as `upstream` gets it: a stream also where the caller did not ask for one, if the answer can be put together."""
    stream = call.stream or (assemble and call.operation in ASSEMBLED and not upstream.plain_only and not _sounds(call.members))
    timeouts = upstream.unseen if stream and not call.stream else upstream.timeouts
    return Call(call.operation, upstream.ref, call.members, stream, headers, timeouts, deadline)


def heard(
    response: Response, sent: Call, call: chat.Chat, upstream: Upstream, started: float, clock: Clock, trail: Trail
) -> Response | Failure | None:
    """What an answer to `sent` means that has come whole. None: it goes on, or has to be asked for in another way (`read_on`)."""
    if sent.warnings:
        trail.warnings += tuple(sent.warnings)
    fields = response.headers.first
    if QUOTAS in fields:
        upstream.learn(fields, started, clock.time())
    body = response.body
    if not isinstance(body, bytes) or (sent.stream and response.status == 200 and _is_events(response)):
        return None
    return _judged(response, body, sent.stream and not call.stream, upstream, trail)


def _judged(response: Response, body: bytes, assembled: bool, upstream: Upstream, trail: Trail) -> Response | Failure | None:
    verdict = upstream.provider.classify(response.status, response.headers, body)
    if verdict is not None:
        if assembled and verdict.error_type == "caller_invalid_request" and _against_streams(body):
            # Ours was the wish for a stream, not the caller's.
            upstream.plain_only = True
            return None
        return of_verdict(verdict)
    trail.usage, model = usage.told(body)
    trail.model = model or upstream.ref.model
    fields = hygiene.from_provider(response.headers.raw)
    if b"content-type" not in response.headers.first:
        fields.append(_JSON)
    response.headers = Headers.trusted(fields)
    response.body = body
    response.length = None  # of a whole body it is seen
    return response


async def read_on(
    response: Response,
    sent: Call,
    call: chat.Chat,
    upstream: Upstream,
    request: Request,
    wws: Services,
    ctx: Context,
    started: float,
    *,
    whole: bool,
    last: bool,
    jitter: float,
) -> Response | Failure:
    """What an answer means of which `heard` could not tell. Raises `UpstreamError` when it fails."""
    assembled = sent.stream and not call.stream
    body = response.body
    if sent.stream and response.status == 200 and _is_events(response):
        if assembled:
            return await _assembled(body, upstream, sent.operation, started, wws.clock, ctx, last)
        return await _streamed(body, upstream, sent, started, wws.clock, ctx, whole, last, jitter)
    if not isinstance(body, bytes):
        result = _judged(response, await collect(body), assembled, upstream, ctx.trail)
        if result is not None:
            return result
    return await attempt(call, upstream, request, wws, ctx, whole=whole, last=last, jitter=jitter)  # without a stream this time


async def attempt(
    call: chat.Chat,
    upstream: Upstream,
    request: Request,
    wws: Services,
    ctx: Context,
    *,
    whole: bool,
    last: bool,
    jitter: float,
) -> Response | Failure:
    """One upstream call. A `Response` whose body is a stream has its `Ending` as `finish`; of every other end the caller of
    this tells the route.

    `whole`: a stream is held back to its end. `last`: there is nobody else to ask, so an empty answer is the answer.
    """
    started = wws.clock.monotonic()
    sent = outgoing(call, upstream, request.headers, ctx.deadline, wws.policy.attempts.assemble)
    try:
        response = await upstream.provider.send(sent, wws.dial)
        result = heard(response, sent, call, upstream, started, wws.clock, ctx.trail)
        if result is None:
            result = await read_on(
                response, sent, call, upstream, request, wws, ctx, started, whole=whole, last=last, jitter=jitter
            )
        return result
    except UpstreamError as error:
        return of_transport(error)


def _against_streams(body: bytes) -> bool:
    return any(mark in body for mark in _NO_STREAMS)


def _sounds(members: chat.Members) -> bool:
    """Whether sound may be asked for, which is streamed in another format than the one that was named."""
    return "audio" in members or "modalities" in members


def _is_events(response: Response) -> bool:
    return response.headers.first.get(b"content-type", b"").startswith(b"text/event-stream")


async def collect(stream: Stream, limit: int = MAX_ANSWER) -> bytes:
    """A stream's bytes in one. Raises `UpstreamError` when it fails or is larger than `limit`."""
    parts: list[bytes] = []
    size = 0
    while data := await stream.next():
        size += len(data)
        if size > limit:
            await stream.aclose()
            raise UpstreamMalformed(f"the answer is larger than {limit} bytes")
        parts.append(data)
    return b"".join(parts)


async def _assembled(
    body: bytes | Stream, upstream: Upstream, operation: str, started: float, clock: Clock, ctx: Context, last: bool
) -> Response | Failure:
    """The plain answer, put together from a stream. Raises `UpstreamError` when that fails."""
    answer: Assembler = MessageAssembler() if operation == "messages" else ChatAssembler()
    if isinstance(body, bytes):  # it came whole, in one read
        answer.feed(body)
        answer.end()
    else:
        await or_close(_read(answer, body, upstream, started, clock, ctx.trail), body)
        if answer.error is not None:
            await body.aclose()
    if answer.error is not None:
        return of_verdict(upstream.provider.classify(200, PLAIN, answer.error) or FAILED)
    if not answer.complete:
        return CUT
    meaning = _finish(upstream, answer.finish_reason)
    if meaning is not None:
        return of_verdict(meaning)
    if not answer.visible and answer.finish_reason == "stop" and not last:
        return EMPTY
    ctx.trail.usage = answer.usage
    ctx.trail.model = answer.model or upstream.ref.model
    return Response(answer.result(), 200, Headers.trusted([_JSON]))


async def _read(answer: Assembler, stream: Stream, upstream: Upstream, started: float, clock: Clock, trail: Trail) -> None:
    """Reads to the end: of the stream, or of the answer where the connection then stays open."""
    timeouts = upstream.timeouts
    until = started + timeouts.first_token
    heard = started
    size, visible = 0, False
    while True:
        try:
            data = await stream.next(until)
        except UpstreamTimeout:
            if answer.complete:
                return
            raise
        if not data:
            answer.end()
            return
        size += len(data)
        if size > MAX_ANSWER:
            raise UpstreamMalformed(f"the answer is larger than {MAX_ANSWER} bytes")
        answer.feed(data)
        if answer.error is not None:
            return
        if data[:1] != _COMMENT:
            heard = 0.0
        else:
            # A comment is no sign of life of the model (LiteLLM #38358).
            now = clock.monotonic()
            heard = heard or now
            if visible and now - heard > timeouts.idle:
                raise UpstreamTimeout("idle")
        if answer.finish_reason is not None and answer.complete:
            until = clock.monotonic() + (LINGER_DONE if answer.done else LINGER)
        elif not visible and answer.visible:
            visible = True
            until = inf
            trail.first_token = clock.monotonic() - started


async def _streamed(
    body: bytes | Stream,
    upstream: Upstream,
    sent: Call,
    started: float,
    clock: Clock,
    ctx: Context,
    whole: bool,
    last: bool,
    jitter: float,
) -> Response | Failure:
    """The stream, once it may be committed. Raises `UpstreamError` when it fails before that."""
    shape: Shape = "anthropic" if sent.operation == "messages" else "openai"
    trail = ctx.trail
    ending = Ending(upstream, shape, trail, clock, started, jitter)
    relay = RelayStream(
        shape,
        hide_usage=sent.hide_usage,
        finish=upstream.provider.finish_reasons,
        on_error=ending.on_error,
        whole=whole,
        idle=upstream.timeouts.idle,
    )
    if isinstance(body, bytes):
        relay.take(body)
        relay.finish()
    else:
        ended = await or_close(_hold(relay, body, started, upstream.timeouts.first_token, clock), body)
        if relay.error is not None:
            await body.aclose()
        elif not ended:
            now = clock.monotonic()
            trail.first_token = now - started
            trail.model = relay.model or upstream.ref.model
            upstream.committed(now)
            ending.relay = relay
            body.transform = relay
            body.held = relay.commit()
            answer = Response(body, 200, Headers.trusted(list(SSE)))
            answer.finish = ending
            return answer
    if relay.error is not None:
        return of_verdict(ending.verdict or FAILED)
    # It has come to its end: short, held back, or with nothing to see.
    if not relay.complete:
        return CUT
    if not relay.visible:
        meaning = _finish(upstream, relay.finish_reason)
        if meaning is not None:
            return of_verdict(meaning)
        if relay.finish_reason == "stop" and not last:
            return EMPTY
    trail.first_token = clock.monotonic() - started
    trail.model = relay.model or upstream.ref.model
    trail.usage = relay.usage
    return Response(relay.commit() + relay.end("done"), 200, Headers.trusted(list(SSE)))


async def _hold(relay: RelayStream, stream: Stream, started: float, patience: float, clock: Clock) -> bool:
    """Reads until the stream may be committed, or has failed; True: it has ended."""
    until = started + patience
    while True:
        try:
            data = await stream.next(until)
        except UpstreamTimeout:
            if relay.complete:
                return True
            raise
        if not data:
            relay.finish()
            return True
        relay.take(data)
        if relay.ready and not relay.whole:
            return False
        if relay.error is not None:
            return False
        if relay.complete:
            until = clock.monotonic() + (LINGER_DONE if relay.done else LINGER)
        elif relay.visible:
            until = inf


def _finish(upstream: Upstream, reason: str | None) -> Verdict | None:
    """What a finish reason means when it is an error of this provider, and nothing has been sent yet."""
    if reason is None or reason not in upstream.provider.finish_reasons:
        return None
    return upstream.provider.classify(200, PLAIN, b'{"choices":[{"finish_reason":"%b"}]}' % reason.encode())
