"""relay to AI providers: reads the call and asks the router; `attempts` does the rest."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

from wws import codec
from wws.bindings import Context, Env
from wws.core.fault import Fault
from wws.core.policy import Route
from wws.core.route.resolve import names
from wws.core.wire import chat
from wws.core.wire.depth import within_depth
from wws.errors import Refusal
from wws.functions.attempts import attempts
from wws.functions.model_router import route_chat, router_of
from wws.functions.setup import Setup, setup_of
from wws.http import Request, Response

__all__ = ["relay_ai"]

_MODELS: Final = "models"


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


def relay_ai(request: Request, env: Env, ctx: Context, route: Route) -> Coroutine[Any, Any, Response]:
    """The answer of an AI endpoint, to be awaited. Raises `Refusal` for what cannot be served, now or then."""
    kind = _kind(request.path)
    if kind is None:
        raise Refusal("not_found", "There is no such AI endpoint here.")
    if kind == _MODELS:
        return _models(request, env, route)
    if request.method != "POST":
        raise Refusal("method_not_allowed", allow=("POST",))
    setup = setup_of(env)
    body = request.body.ready()
    if body is None or len(body) > setup.limit:
        return _arriving(kind, request, setup, ctx, route)
    return _relayed(kind, body, request, setup, ctx, route)


async def _arriving(kind: str, request: Request, setup: Setup, ctx: Context, route: Route) -> Response:
    """The answer to a request whose body is not here yet, or is too large."""
    body = await request.body.read(setup.limit)
    return await _relayed(kind, body, request, setup, ctx, route)


def _relayed(kind: str, body: bytes, request: Request, setup: Setup, ctx: Context, route: Route) -> Coroutine[Any, Any, Response]:
    trail = ctx.trail
    started = setup.clock()
    call = _read(kind, body, request, setup.depth)
    choice = route_chat(call, body, setup.router(route.models))
    trail.reason = choice.reason
    trail.model_requested = call.model
    trail.stream = call.stream
    trail.route = setup.clock() - started
    return attempts(call, choice, request, setup, ctx, route)


def _read(kind: str, body: bytes, request: Request, depth: int) -> chat.Chat:
    members = codec.split_within(body, depth)
    if members is None:
        members = _members(body, depth)
    hint = request.headers.first.get(b"x-task-type")
    call = chat.read(members, kind, hint)  # type: ignore[arg-type]  # _kind gives its kinds
    if isinstance(call, Fault):
        raise Refusal(call.code, call.message, param=call.param)
    return call


def _members(body: bytes, depth: int) -> chat.Members:
    """Those of a body of which it takes a closer look to tell whether it is too deep, or no JSON."""
    try:
        if not within_depth(body, depth):
            raise Refusal("body_too_deep", f"The body is nested more than {depth} levels deep.")
        return codec.split(body)
    except ValueError:
        raise Refusal("invalid_json") from None


# models


async def _models(request: Request, env: Env, route: Route) -> Response:
    """`/v1/models` and `/v1/models/ID` in OpenAI's list shape: what `model` may be here."""
    if request.method not in ("GET", "HEAD"):
        raise Refusal("method_not_allowed", allow=("GET", "HEAD"))
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
