"""The way of a request. Read this file first.

    route         which [[routes]] entry: ai | origin | function
    admit         global in-flight cap, pre-auth limit per client address
    auth_guard    who is it                 -> user, or 401/403/503
    rate_limiter  may they, now             -> remaining, or 429 + Retry-After
    cache_manager fresh | stale + refresh in background | miss
    relay         ai: model_router -> attempts over providers;  origin: proxy;  function: the project's own code;  static: a file

Each step is a decision in `core` and a short async step in `functions`. A step that will not let the request pass raises
a `Refusal`, which becomes the answer here. What every step did is written into `ctx.trail`, and from there into the
answer's headers and to `observe`.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final

from wws.bindings import Context, Env
from wws.core.limit.fields import LimitFields
from wws.core.policy import BEHIND, Limit, Policy, Route
from wws.core.route import cors
from wws.core.route.table import Table, suspicious
from wws.core.wire import notes
from wws.errors import Refusal
from wws.functions.ai import relay_ai
from wws.functions.auth_guard import auth_guard, recognised
from wws.functions.cache_manager import cache_manager
from wws.functions.invoke import invoke
from wws.functions.rate_limiter import LimitResult, address_limiter, blocked, counted, give_back, rate_limiter
from wws.functions.refuse import refuse
from wws.functions.relay import relay_origin, relay_socket, wants_socket
from wws.functions.static import has_file, serve_file
from wws.http import Headers, Outcome, Pair, Request, Response, Stream

__all__ = ["Gateway"]

_log = logging.getLogger("wws.gateway")
_SHED_WAIT: Final = 1.0  # seconds until a shed caller should come back
_SWITCHING: Final = 101
_READS: Final = frozenset({"GET", "HEAD"})
_RULES: Final = 4096  # limits whose header lines are kept ready; a policy has far fewer


class _Rule:
    """The words for a limit that do not change."""

    __slots__ = ("fields", "limit", "refusal")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.fields = LimitFields(limit)
        self.refusal = f"The limit is {limit.count} requests in {limit.period:g} s. Try again after the time in Retry-After."


class Gateway:
    """One configuration, ready to answer. `ready` is False while the process drains."""

    def __init__(self, env: Env) -> None:
        policy: Policy = env.wws.policy
        self.env = env
        self.ready = True
        self.in_flight = 0
        self._routes: Table[Route] = Table(
            [(path, route.methods, route) for route in policy.routes for path in (route.path, *route.aliases)]
        )
        self._clock = env.wws.clock.monotonic
        self._observe = env.wws.observe
        self._cap = policy.max_in_flight
        self._cors = any(route.cors for route in policy.routes)
        self._crowds = {id(route): 0 for route in policy.routes if route.max_in_flight is not None}
        self._rules: dict[int, _Rule] = {}  # by id: hashing a Limit hashes all its fields
        self._own = {"/healthz": self._health, "/readyz": self._readiness}

    async def handle(self, request: Request, env: Env, ctx: Context) -> Response:
        """Answers one request; the only exception that leaves is cancellation."""
        trail = ctx.trail
        self.in_flight += 1
        try:
            response = await self._answer(request, env, ctx)
        except Refusal as refusal:
            response = self._refused(request, ctx, refusal)
        except asyncio.CancelledError:
            self._left(request)
            trail.error_type = "caller_cancelled"
            self._observe(request, ctx, 499, "client_closed", 0)
            raise
        except Exception:
            _log.exception("request %s failed", ctx.request_id)
            trail.error_type = "wws_internal"
            response = self._refused(request, ctx, Refusal("internal_error"))
        if response.status >= 500 and ctx.counted is not None:
            # A request that failed on our side, or behind us, is not counted against the caller.
            ctx.wait_until(give_back(ctx.counted, env))
        response.notes = notes.render(ctx.request_id, trail, self._clock() - trail.started, self._limit_lines(ctx))
        if self._cors and request.route is not None and request.route.cors:
            _for_pages(request, request.route, response)
        body = response.body
        if isinstance(body, Stream) or response.status == _SWITCHING:
            response.finish = partial(self._finished, request, ctx, response, response.finish)
        else:
            self._left(request)
            self._observe(request, ctx, response.status, "done", len(body))
        return response

    def _refused(self, request: Request, ctx: Context, refusal: Refusal) -> Response:
        route, trail = request.route, ctx.trail
        if not trail.error_type:
            trail.error_type = refusal.row.error_type
        return refuse(refusal, openai=route is not None and route.to == "ai")

    async def _answer(self, request: Request, env: Env, ctx: Context) -> Response:
        if request.path in self._own:
            return self.own(request.path)
        if self._cors and request.method == "OPTIONS":
            answer = self._preflight(request)
            if answer is not None:
                return answer
        route = self._route(request, ctx)
        refusal = self._admit(request, env, route)
        if refusal is not None:
            return self._refused(request, ctx, refusal)
        if route.auth != "none":
            started = self._clock()
            known = recognised(request, env)
            if known is not None and known.valid:
                ctx.trail.auth = self._clock() - started
                request.user = ctx.user = known.user
                ctx.trail.auth_source = known.source
            else:
                refusal = await self._authenticate(request, env, ctx, route)
                if refusal is not None:
                    return self._refused(request, ctx, refusal)
        started = self._clock()
        limit = counted(request, env)
        refusal = self._limited(limit if limit is not None else await rate_limiter(request, env), ctx, started)
        if refusal is not None:
            return self._refused(request, ctx, refusal)
        if route.to == "ai":
            ctx.trail.cache_status, ctx.trail.cache_outcome = "fwd=bypass", "bypass"
            return await relay_ai(request, env, ctx, route)
        if route.to == "static":
            return await serve_file(request, env, ctx)
        if route.to == "origin" and b"upgrade" in request.headers.first and wants_socket(request):
            return await relay_socket(request, env, ctx, route)
        if route.to == "function" and route.cache.mode == "off":
            return await invoke(request, env, ctx, route)
        return await self._cached(request, env, ctx, route)

    def _route(self, request: Request, ctx: Context) -> Route:
        reason = suspicious(request.path)
        match = self._routes.match(request.method, request.path)
        route = match.value
        if reason is not None and (route is None or route.to != "ai" or not _names_a_model(request.path)):
            raise Refusal("invalid_request", f"The path has {reason}, which servers read in different ways.")
        if route is None:
            if match.allowed_methods:
                raise Refusal("method_not_allowed", allow=match.allowed_methods)
            raise Refusal("not_found")
        if route.fallback is not None and not has_file(request, self.env):
            route = BEHIND
        request.route = route
        request.params = match.params
        if route.timeout is not None:
            ctx.deadline = min(ctx.deadline, ctx.trail.started + route.timeout)
        return route

    def _preflight(self, request: Request) -> Response | None:
        """The answer to a browser that asks whether a page may send what comes next; it never carries a credential. None: it is
        another OPTIONS, or the route leaves it to whoever is behind it."""
        fields = request.headers.first
        origin, method = fields.get(b"origin"), fields.get(b"access-control-request-method")
        if origin is None or method is None:
            return None
        route = self._routes.match(method.decode("latin-1"), request.path).value
        if route is None or not route.cors:
            return None
        answer = cors.preflight(route.cors, origin, method, fields.get(b"access-control-request-headers"))
        if answer is None:
            raise Refusal("origin_not_allowed")
        return Response(b"", 204, Headers.trusted(answer))

    # The steps that most refusals come from give them back: what is raised costs twice as much.

    def _admit(self, request: Request, env: Env, route: Route) -> Refusal | None:
        cap = route.max_in_flight
        if cap is not None:
            crowd = self._crowds[id(route)] = self._crowds[id(route)] + 1  # `_left` takes it back, of a refused one too
            if crowd > cap:
                return Refusal("concurrency_limit", retry_after=_SHED_WAIT)
        if self.in_flight > self._cap:
            return Refusal("overloaded", retry_after=_SHED_WAIT)
        held = blocked(request, env)
        return None if held is None else _too_many_failures(held)

    async def _authenticate(self, request: Request, env: Env, ctx: Context, route: Route) -> Refusal | None:
        started = self._clock()
        result = await auth_guard(request, env)
        ctx.trail.auth = self._clock() - started
        if result.valid:
            request.user = ctx.user = result.user
            ctx.trail.auth_source = result.source
            return None
        refusal = result.refusal or Refusal("missing_credential")
        if refusal.code == "missing_credential":
            if route.auth == "optional":
                return None
        elif refusal.row.error_type == "policy_unauthenticated":
            guesses = await address_limiter(request, env)  # guessing is counted, by address
            if not guesses.allowed:
                return _too_many_failures(guesses)
        return refusal

    def _limited(self, result: LimitResult, ctx: Context, started: float) -> Refusal | None:
        trail = ctx.trail
        trail.limit = self._clock() - started
        trail.limit_rule, trail.limit_decision = result.rule, result.decision
        if result.degraded:
            trail.degraded += ("limit",)
        rule = result.rule
        if result.allowed:
            ctx.counted = None if rule is None else result
            return None
        return Refusal(
            "rate_limit_exceeded", None if rule is None else self._rule(rule).refusal, retry_after=result.retry_after, retry=True
        )

    async def _cached(self, request: Request, env: Env, ctx: Context, route: Route) -> Response:
        async def origin(conditional: list[Pair] | None = None) -> Response:
            if route.to == "function":
                return await invoke(request, env, ctx, route)
            return await relay_origin(request, env, ctx, route, conditional)

        trail = ctx.trail
        if route.cache.mode == "off" and request.method in _READS:  # another method may have changed what is stored
            trail.cache_status, trail.cache_outcome = "fwd=bypass", "bypass"
            return await origin()
        started = self._clock()
        result = await cache_manager(request, env, origin)
        trail.cache = self._clock() - started - (trail.upstream or 0.0)
        trail.cache_status, trail.cache_outcome = result.status, result.outcome
        return result.data

    # what is left to do when the answer is known

    def _left(self, request: Request) -> None:
        """A request is no longer in progress."""
        self.in_flight -= 1
        route = request.route
        if route is not None and route.max_in_flight is not None:
            self._crowds[id(route)] -= 1

    def _limit_lines(self, ctx: Context) -> str:
        rule, decision = ctx.trail.limit_rule, ctx.trail.limit_decision
        if rule is None or decision is None:
            return ""
        return self._rule(rule).fields.render(decision)

    def _rule(self, limit: Limit) -> _Rule:
        known = self._rules.get(id(limit))
        if known is None or known.limit is not limit:
            if len(self._rules) >= _RULES:
                self._rules.clear()
            known = self._rules[id(limit)] = _Rule(limit)
        return known

    def _finished(
        self,
        request: Request,
        ctx: Context,
        response: Response,
        before: object,
        outcome: Outcome,
        sent: int,
    ) -> None:
        self._left(request)
        if callable(before):
            before(outcome, sent)
        self._observe(request, ctx, response.status, outcome, sent)

    def own(self, path: str) -> Response:
        """The gateway's own pages, `/healthz` and `/readyz`, which touch nothing it depends on."""
        return self._own[path]()

    def _health(self) -> Response:
        return Response.json({"status": "ok"})

    def _readiness(self) -> Response:
        if not self.ready:
            return Response.json({"status": "draining", "degraded": []}, 503)
        return Response.json({"status": "ready", "degraded": list(self.env.wws.degraded())})


def _for_pages(request: Request, route: Route, response: Response) -> None:
    """Adds what a page of another origin may read. What the one behind says of it itself does not count here."""
    response.notes += cors.lines(route.cors, request.headers.first.get(b"origin"))
    raw = response.headers.raw
    if any(cors.own(name) for name, _ in raw):
        response.headers = Headers.trusted([pair for pair in raw if not cors.own(pair[0])])


def _too_many_failures(limit: LimitResult) -> Refusal:
    return Refusal("rate_limit_exceeded", "Too many failed attempts from this address.", retry_after=limit.retry_after)


def _names_a_model(path: str) -> bool:
    """Whether nothing is wrong with the path but the `/` in a model's name, which SDKs escape: `/v1/models/main%2Fcoder`.

    On an AI route that is a name to look up: the path is sent to nobody.
    """
    return "/models/" in path and suspicious(path.replace("%2F", "").replace("%2f", "")) is None
