"""relay to AI providers: reads the call and asks the router; `attempts` does the rest."""

from __future__ import annotations

from typing import Final

from wws import codec
from wws.bindings import Context, Env
from wws.core.fault import Fault
from wws.core.policy import Route
from wws.core.route.resolve import names
from wws.core.wire import chat
from wws.core.wire.depth import within_depth
from wws.errors import Refusal
from wws.functions.attempts import Asked, attempts
from wws.functions.model_router import route_chat, router_of
from wws.http import Request, Response

__all__ = ["relay_ai"]

_MODELS: Final = "models"
_new: Final = tuple.__new__  # the constructor of a NamedTuple costs three times as much, and this runs for every request


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
    limit = env.wws.policy.json_limit
    whole = request.body.ready()
    body = whole if whole is not None and len(whole) <= limit else await request.body.read(limit)
    started = clock()
    asked = _read(request, body, env, route, kind)
    trail.reason = asked.choice.reason
    trail.model_requested = asked.call.model
    trail.stream = asked.call.stream
    trail.route = clock() - started
    return await attempts(asked, request, env, ctx, route)


def _read(request: Request, body: bytes, env: Env, route: Route, kind: str) -> Asked:
    limit = env.wws.policy.json_depth
    try:
        if not within_depth(body, limit):
            raise Refusal("body_too_deep", f"The body is nested more than {limit} levels deep.")
        members = codec.split(body)
    except ValueError:
        raise Refusal("invalid_json") from None
    call = chat.read(members, kind, request.headers.first.get(b"x-task-type"))  # type: ignore[arg-type]  # _kind gives its kinds
    if isinstance(call, Fault):
        raise Refusal(call.code, call.message, param=call.param)
    choice = route_chat(call, body, env, route.models)
    return _new(Asked, (call, choice))


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
