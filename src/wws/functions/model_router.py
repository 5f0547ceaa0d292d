"""model_router: which model serves a task, and which are next when it fails. Nobody is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from wws.bindings import Env
from wws.core.fault import Fault
from wws.core.route.choose import Choice, Router, Task
from wws.core.route.estimate import complexity, context_length, text_bytes
from wws.core.route.resolve import AUTO, EMBEDDINGS, resolve
from wws.core.text import record
from wws.core.wire.chat import Chat, max_tokens, task_of
from wws.core.wire.prompt import prompt_text
from wws.errors import Refusal

__all__ = ["RouterResult", "Target", "model_router", "route_chat", "route_model", "router_of"]

_record: Final = record


class Target(NamedTuple):
    """A model and where it is served. `model` is the provider's own name for it."""

    provider: str
    base_url: str
    model: str


class RouterResult(NamedTuple):
    """The model to ask, why, and the fallbacks in order."""

    provider: str
    base_url: str
    model: str
    reason: str
    fallbacks: tuple[Target, ...]


async def model_router(task: Task | Mapping[str, Any] | str | None, env: Env) -> RouterResult:
    """The model the project's rules choose for `task`: its `type`, `complexity` and `context_length` (tokens), each optional.

    Raises `Refusal`: `invalid_request` for a task of the wrong shape, `internal_error` when no provider of the chosen alias
    is configured.
    """
    described = task if isinstance(task, Task) else task_of(task)
    if isinstance(described, Fault):
        raise Refusal(described.code, described.message, param=described.param)
    choice = route_model(None, described, env)
    first, *rest = [Target(ref.provider, env.wws.providers[ref.provider].base_url, ref.model) for ref in choice.candidates]
    return RouterResult(*first, choice.reason, tuple(rest))


def router_of(env: Env, allowed: tuple[str, ...] | None = None) -> Router:
    """The rules made ready for this host, for a route restricted to the aliases `allowed`; made once each."""
    routers = env.wws.state.get("model_router")
    if routers is None:
        routers = env.wws.state["model_router"] = {}
    router: Router | None = routers.get(allowed)
    if router is None:
        router = routers[allowed] = Router(env.wws.policy, frozenset(env.wws.providers), allowed)
    return router


def route_model(
    model: str | None, task: Task, env: Env, allowed: tuple[str, ...] | None = None, operation: str = "chat"
) -> Choice:
    """The candidates for a request that names `model` (None or "auto": the rules decide), at least one.

    `allowed` are the aliases of the route. Raises `Refusal` with `model_not_found` or `internal_error`.
    """
    return _served(resolve(model, task, router_of(env, allowed), operation))


def route_chat(chat: Chat, body: bytes, router: Router) -> Choice:
    """The candidates for a body that was read: what the caller did not say and a rule asks for is estimated from `body`.

    Raises `Refusal` as `route_model`.
    """
    task = chat.task
    if chat.model is None or chat.model == AUTO:
        # A task with nothing to estimate that a rule would ask for, as most are: the answer is known beforehand.
        if task.context_length is None and task.complexity is None and chat.operation != EMBEDDINGS:
            choice = router.brief(task.type, len(body), max_tokens(chat.members))
            if choice is not None and choice.candidates:
                return choice
        task = estimated(chat, body, router)
    return _served(resolve(chat.model, task, router, chat.operation))


def _served(choice: Choice | Fault) -> Choice:
    if isinstance(choice, Fault):
        raise Refusal(choice.code, choice.message, param=choice.param, retry=False)
    return choice


def estimated(chat: Chat, body: bytes, router: Router) -> Task:
    """The task of `chat` with the facts that `router` asks for filled in from `body`, the JSON the caller sent."""
    kind, tier, length = chat.task
    if length is None and router.needs_context:
        answer = max_tokens(chat.members)
        length = context_length(len(body), answer)
        if length > router.context_floor:  # below it no rule can tell, so large files need not be looked for
            length = context_length(text_bytes(body), answer)
    if tier is None and router.needs_complexity and "messages" in chat.members:
        tier = complexity(prompt_text(chat.members["messages"]))
    return _record(Task, kind, tier, length)
