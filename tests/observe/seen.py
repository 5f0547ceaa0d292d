"""Finished requests, as observers are told of them."""

from __future__ import annotations

from typing import Any

from wws.bindings import Context
from wws.core.auth.user import User
from wws.core.policy import Limit, Route
from wws.core.trail import Attempt, Trail, Usage
from wws.http import Request
from wws.observe.tally import Cell, Tally

AI = Route("/api/ai/*", "ai", auth="required")
PAGES = Route("/*", "origin")
OK = Attempt("main", "coder", "ok", 0.2)
FAILED = Attempt("main", "coder", "provider_timeout", 10.0)
USAGE = Usage(10, 5, 2)
CHAT = Limit(60, 60.0, name="chat", endpoint="/api/ai/chat")


def page(path: str = "/a", *, user: User | None = None, route: Route | None = PAGES, **trail: Any) -> tuple[Request, Context]:
    """A request for a page of the origin."""
    request = Request("GET", path, client="192.0.2.1")
    request.route = route
    request.user = user
    ctx = Context("req-1", 0.0, Trail(0.0), lambda awaitable: None)
    ctx.user = user
    for name, value in trail.items():
        setattr(ctx.trail, name, value)
    return request, ctx


def call(
    *attempts: Attempt,
    user: User | None = None,
    usage: Usage | None = USAGE,
    headers: dict[str, str] | None = None,
    **trail: Any,
) -> tuple[Request, Context]:
    """A chat call; answered by the last attempt when that is ok."""
    request, ctx = page("/api/ai/chat", user=user or User("u-1"), route=AI)
    request = Request("POST", "/api/ai/chat", headers, b"{}", client="192.0.2.1")
    request.route, request.user = AI, ctx.user
    made = attempts or (OK,)
    facts = {
        "attempts": list(made), "reason": "Standard code task", "upstream": sum(one.seconds for one in made), "usage": usage,
        "provider": made[-1].provider if made[-1].outcome == "ok" else None,
        "model": made[-1].model if made[-1].outcome == "ok" else None,
        "auth": 0.0001, "auth_source": "cache", "limit_rule": CHAT, "cache_outcome": "bypass", "cache_status": "fwd=bypass",
    }  # fmt: skip
    for name, value in {**facts, **trail}.items():
        setattr(ctx.trail, name, value)
    return request, ctx


def add(
    tally: Tally, seen: tuple[Request, Context], status: int = 200, outcome: str = "done", sent: int = 100, total: float = 0.25
) -> Cell:
    """Counts one."""
    return tally.add(*seen, status, outcome, sent, total)
