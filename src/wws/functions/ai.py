"""relay to AI providers: reads the call, asks the router, and makes attempts until one answers or none is left."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from wws import codec
from wws.bindings import Call, Context, Env, Provider, Verdict
from wws.core.fault import Fault
from wws.core.policy import ModelRef, Policy, Route, Timeouts
from wws.core.resilience.matrix import Action, decide
from wws.core.route import catalogue
from wws.core.route.choose import Choice
from wws.core.route.resolve import names
from wws.core.trail import Attempt, Trail
from wws.core.wire import chat, hygiene, usage
from wws.core.wire.tap import Shape, UsageTap, error_event
from wws.errors import ConnectFailed, Refusal, UpstreamCut, UpstreamError, UpstreamMalformed, UpstreamTimeout
from wws.functions.model_router import route_chat, router_of
from wws.http import Headers, Outcome, Pair, Pieces, Request, Response, Stream

__all__ = ["relay_ai"]

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of a provider's answer that is read whole: embeddings of a full batch are some 30 MiB."""

_JSON = (b"content-type", b"application/json")
_SSE: list[Pair] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),  # proxies on the way must not hold or change it
    (b"x-accel-buffering", b"no"),
]


class _Asked(NamedTuple):
    """What the caller wants, read and routed."""

    call: chat.Chat
    choice: Choice


class _Failure(NamedTuple):
    """Why an attempt failed, in the closed set's words, and what the caller would be told of it."""

    outcome: str
    error_type: str
    code: str | None = None
    detail: str | None = None
    param: str | None = None
    retry_after: float | None = None


_MODELS = "models"


def _kind(path: str) -> str | None:
    kind: str | None = chat.ENDPOINTS.get(path)
    if kind is not None:
        return kind
    if path == "/v1/models" or path.startswith("/v1/models/"):
        return _MODELS
    # A route of the user's own, say /llm/*: what follows the endpoint's name in the usual paths decides.
    for known, found in _SUFFIXES:
        if path.endswith(known):
            return found
    return None


_SUFFIXES = (
    ("/chat/completions", "completions"),
    ("/embeddings", "embeddings"),
    ("/messages", "messages"),
    ("/models", _MODELS),
    ("/chat", "chat"),
    ("/generate", "generate"),
)


async def relay_ai(request: Request, env: Env, ctx: Context, route: Route) -> Response:
    """Answers an AI endpoint. Raises `Refusal` for what cannot be served."""
    kind = _kind(request.path)
    if kind is None:
        raise Refusal("not_found", "There is no such AI endpoint here.")
    if kind == _MODELS:
        if request.method not in ("GET", "HEAD"):
            raise Refusal("method_not_allowed", allow=("GET", "HEAD"))
        return _models(request, env, route)
    if request.method != "POST":
        raise Refusal("method_not_allowed", allow=("POST",))
    trail = ctx.trail
    clock = env.wws.clock.monotonic
    body = await request.body.read(env.wws.policy.json_limit)
    started = clock()
    asked = _read(request, body, env, route, kind)
    trail.reason = asked.choice.reason
    trail.model_requested = asked.call.model
    trail.stream = asked.call.stream
    trail.route = clock() - started
    return await _attempts(asked, request, env, ctx)


def _read(request: Request, body: bytes, env: Env, route: Route, kind: str) -> _Asked:
    limit = env.wws.policy.json_depth
    try:
        if not codec.within_depth(body, limit):
            raise Refusal("body_too_deep", f"The body is nested more than {limit} levels deep.")
        members = codec.split(body)
    except ValueError:
        raise Refusal("invalid_json") from None
    call = chat.read(members, kind, request.headers.first.get(b"x-task-type"))  # type: ignore[arg-type]  # _kind gives its kinds
    if isinstance(call, Fault):
        raise Refusal(call.code, call.message, param=call.param)
    choice = route_chat(call, body, env, route.models)
    return _Asked(call, choice)


# attempts


async def _attempts(asked: _Asked, request: Request, env: Env, ctx: Context) -> Response:
    """Tries the candidates in order, within one budget and one deadline, as the matrix says."""
    wws = env.wws
    trail = ctx.trail
    clock = wws.clock.monotonic
    candidates = [ref for ref in asked.choice.candidates if asked.call.operation in wws.providers[ref.provider].operations]
    if not candidates:
        raise Refusal("unsupported_endpoint", param="model", retry=False)
    named = asked.choice.alias is None
    failure: _Failure | None = None
    at, retried = 0, False
    for _ in range(max(1, wws.policy.attempts.max)):
        ref = candidates[at]
        started = clock()
        result = await _attempt(asked, ref, wws.providers[ref.provider], request, env, ctx)
        spent = clock() - started
        trail.upstream = (trail.upstream or 0.0) + spent
        if isinstance(result, Response):
            trail.attempts.append(Attempt(ref.provider, ref.model, "ok", spent))
            trail.provider = wws.providers[ref.provider].name
            trail.model = trail.model or ref.model
            return result
        failure = result
        trail.attempts.append(Attempt(ref.provider, ref.model, failure.error_type, spent))
        action = decide(
            failure.outcome,
            failure.code,
            retried=retried,
            named=named,
            retry_after=failure.retry_after,
            left=ctx.deadline - clock(),
        )
        if action.retry_same:
            retried = True
            if action.wait:
                await wws.clock.sleep(action.wait)
            continue
        following = _next(candidates, at, action, wws.policy)
        if following is None:
            raise _refusal(failure, action, trail)
        at, retried = following, False
    if failure is None:
        raise Refusal("internal_error")
    raise _refusal(failure, decide(failure.outcome, failure.code, visible=True, named=named), trail)


def _next(candidates: list[ModelRef], at: int, action: Action, policy: Policy) -> int | None:
    """The place of the next candidate, or None. An input that was too long goes to a larger window only."""
    if not action.fail_over:
        return None
    if not action.wider:
        return at + 1 if at + 1 < len(candidates) else None
    window = _window(candidates[at], policy)
    for place in range(at + 1, len(candidates)):
        if (other := _window(candidates[place], policy)) is not None and (window is None or other > window):
            return place
    return None


def _window(ref: ModelRef, policy: Policy) -> int | None:
    provider = policy.providers.get(ref.provider)
    known = catalogue.entry(provider.kind if provider is not None else ref.provider, ref.model)
    return None if known is None else known.context


def _refusal(failure: _Failure, action: Action, trail: Trail) -> Refusal:
    trail.error_type = failure.error_type
    caller = failure.error_type.startswith("caller_")
    return Refusal(
        action.public_code,
        failure.detail,
        param=failure.param,
        retry_after=failure.retry_after,
        # Our own attempts are spent: the SDK's would multiply them.
        retry=None if caller else False,
    )


async def _attempt(
    asked: _Asked, ref: ModelRef, provider: Provider, request: Request, env: Env, ctx: Context
) -> Response | _Failure:
    """One upstream call: a response for the caller, or why there is none."""
    call = asked.call
    outgoing = Call(
        call.operation, ref, call.members, call.stream, request.headers, timeouts_of(ref, env.wws.policy), ctx.deadline
    )
    try:
        response = await provider.send(outgoing, env.wws.dial)
        body = response.body
        if not isinstance(body, bytes):
            if call.stream and response.status == 200 and _is_events(response):
                return _streamed(response, body, outgoing, provider, ctx)
            body = await collect(body)
    except UpstreamError as error:
        return _transport_failure(error)
    if outgoing.warnings:
        ctx.trail.warnings += tuple(outgoing.warnings)
    verdict = provider.classify(response.status, response.headers, body)
    if verdict is not None:
        return _provider_failure(verdict)
    if call.stream and _is_events(response):
        return _streamed(response, Stream(Pieces([body])), outgoing, provider, ctx)
    trail = ctx.trail
    trail.usage = usage.from_answer(body)
    trail.model = usage.served_model(body) or ref.model
    answer = Response(body, response.status, Headers.trusted(hygiene.from_provider(response.headers.raw)))
    if b"content-type" not in answer.headers.first:
        answer.headers = Headers.trusted([*answer.headers.raw, _JSON])
    return answer


def _is_events(response: Response) -> bool:
    return response.headers.first.get(b"content-type", b"").startswith(b"text/event-stream")


async def collect(stream: Stream, limit: int = MAX_ANSWER) -> bytes:
    """A stream's bytes in one. Raises `UpstreamError` when it fails or is larger than `limit`."""
    parts: list[bytes] = []
    size = 0
    async for data in stream:
        size += len(data)
        if size > limit:
            await stream.aclose()
            raise UpstreamMalformed(f"the answer is larger than {limit} bytes")
        parts.append(data)
    return b"".join(parts)


def timeouts_of(ref: ModelRef, policy: Policy) -> Timeouts:
    """The timers for one model: its own, its provider's, or the project's."""
    if policy.model_timeouts:
        own = policy.model_timeouts.get(str(ref))
        if own is not None:
            return own
    provider = policy.providers.get(ref.provider)
    return policy.timeouts if provider is None else provider.timeouts


def _streamed(response: Response, body: Stream, call: Call, provider: Provider, ctx: Context) -> Response:
    shape: Shape = "anthropic" if call.operation == "messages" else "openai"
    tap = UsageTap(
        shape, hide_usage=call.hide_usage, finish=provider.finish_reasons, on_error=partial(_in_stream, provider, shape)
    )
    body.transform = tap
    answer = Response(body, 200, Headers.trusted(list(_SSE)))
    answer.finish = partial(_stream_ended, ctx.trail, tap)
    return answer


def _in_stream(provider: Provider, shape: Shape, data: bytes) -> bytes:
    """The event for a failure that the provider reported inside its stream, in our words."""
    verdict = provider.classify(200, Headers(), data) or Verdict("provider_server_error", "provider_error")
    refusal = Refusal(verdict.code, verdict.detail)
    return error_event(shape, refusal.code, refusal.message)


def _stream_ended(trail: Trail, tap: UsageTap, outcome: Outcome, sent: int) -> None:
    trail.usage = tap.usage
    trail.model = tap.model or trail.model
    if outcome != "done" or not tap.complete:
        trail.error_type = "caller_cancelled" if outcome == "client_closed" else "provider_stream_cut"


def _transport_failure(error: UpstreamError) -> _Failure:
    if isinstance(error, ConnectFailed):
        return _Failure("connect_failed", "provider_connection_failed")
    if isinstance(error, UpstreamTimeout):
        if error.phase == "connect":
            return _Failure("connect_failed", "provider_connection_failed")
        return _Failure("stall" if error.phase == "idle" else "timeout", "provider_timeout")
    if isinstance(error, UpstreamCut):
        return _Failure("cut", "provider_stream_cut") if error.answered else _Failure("reset", "provider_connection_failed")
    return _Failure("malformed", "provider_server_error")


def _provider_failure(verdict: Verdict) -> _Failure:
    return _Failure(verdict.error_type, verdict.error_type, verdict.code, verdict.detail, verdict.param, verdict.retry_after)


# models


def _models(request: Request, env: Env, route: Route) -> Response:
    """`/v1/models` and `/v1/models/ID` in OpenAI's list shape: what `model` may be here."""
    listed = [_model(name) for name in names(router_of(env, route.models))]
    _, _, wanted = request.path.partition("/models/")
    if not wanted:
        return Response.json({"object": "list", "data": listed})
    for model in listed:
        if model["id"] == wanted or model["id"] == request.decoded_path.partition("/models/")[2]:
            return Response.json(model)
    raise Refusal("model_not_found", param="model")


def _model(name: str) -> dict[str, object]:
    provider, slash, _ = name.partition("/")
    return {"id": name, "object": "model", "created": 0, "owned_by": provider if slash else "wws"}
