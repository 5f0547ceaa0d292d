"""cache_manager: answers GET and HEAD from what is stored, refreshes it behind the answer, and asks the origin once for many.

The decisions are in `core.cache`, the way to the origin in `cache_load` and the files beside it. This file is what every request
runs through, so a fresh answer is found and built here in one go, without waiting for anything.
"""

from __future__ import annotations

from typing import Final

from wws.bindings import Env
from wws.core.cache import status
from wws.core.cache.freshness import reuse
from wws.core.cache.key import subject
from wws.core.cache.scope import ANYONE, SPECIAL, scope
from wws.core.cache.shelf import Held
from wws.functions.cache_load import Cache
from wws.functions.cache_store import Ask, CacheResult, Handler, Plan, from_stored
from wws.http import Request

__all__ = ["CacheResult", "Handler", "cache_manager"]

# RFC 9110 section 9.2.1; of every other method a success may have changed the resource (RFC 9111 section 4.4).
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"})
_BYPASS: Final = status.forwarded("bypass")
_METHOD: Final = status.forwarded("method")


async def cache_manager(request: Request, env: Env, handler: Handler) -> CacheResult:
    """Answers `request` by the cache policy of its route (`policy.cache` where it has none), or through `handler`.

    `handler(conditional)` sends the request on. `None` means: as the client sent it. A list replaces the client's own
    `If-None-Match` and `If-Modified-Since`, and is empty when the whole answer is wanted. It may be called after the answer has
    gone out or the client has left (a refresh, a load that others wait for), and twice for one request (a 304 that was about
    another answer). What it raises is raised, but for an outage that a stored answer may stand in for.
    """
    wws = env.wws
    cache: Cache | None = wws.state.get("cache_manager")
    if cache is None:
        cache = wws.state["cache_manager"] = Cache(wws)
    route = request.route
    plan = cache.plans.get(id(route))
    if plan is None or plan.route is not route:
        plan = cache.plan(route)
    method = request.method
    if plan.off or (method != "GET" and method != "HEAD"):
        return await _aside(cache, plan, request, handler)
    first = request.headers.first
    user = request.user
    if user is None and SPECIAL.isdisjoint(first):
        for_whom = ANYONE
    else:
        owner = None if user is None else subject(user.id, wws.secrets.pepper)
        for_whom = scope(plan.policy, first, owner)
        if for_whom.bypass is not None:
            return CacheResult(await handler(None), "origin", 0, status.forwarded("bypass", detail=for_whom.bypass), "bypass")
    if request.body.length != 0:  # what a body says is in no key
        return CacheResult(await handler(None), "origin", 0, status.forwarded("bypass", detail="body"), "bypass")
    key = (plan.site, request.scheme, request.authority.lower(), request.path, request.query_string, for_whom.partition)
    held: Held | None = None
    why = "uri-miss"
    if cache.heard is not None:
        cache.listen()
    slot = cache.shelf.slots.get(key)
    if slot is not None:
        held = slot.match(request.headers.raw, first)
        why = "vary-miss"
        if held is not None:
            if for_whom.guarded and not held.shareable:
                held, why = None, "miss"
            else:
                age = cache.monotonic() - held.born
                if age < held.fresh:
                    if not held.used or age >= held.early:
                        cache.touch(Ask(request, plan, key, for_whom, handler, why), held, age)
                    return CacheResult(from_stored(held, age, request), "cache", int(age), status.hit(held.fresh - age), "hit")
    return await _not_fresh(cache, Ask(request, plan, key, for_whom, handler, why), held)


async def _not_fresh(cache: Cache, ask: Ask, held: Held | None) -> CacheResult:
    if held is not None:
        ask.why = "stale"
        age = cache.monotonic() - held.born
        decision = reuse(held.terms, age)
        if decision == "stale_revalidate" and ask.request.method == "GET":
            return cache.stale(ask, held, age)
        if decision == "miss":
            cache.shelf.drop(ask.key, held)
            held, ask.why = None, "uri-miss"
    if ask.request.method == "HEAD":  # its answer has no body to store, and refreshes nothing
        return CacheResult(await ask.handler(None), "origin", 0, status.forwarded(ask.why), "miss")
    return await cache.flights.load(ask, held)


async def _aside(cache: Cache, plan: Plan, request: Request, handler: Handler) -> CacheResult:
    """A request that the cache does not answer; one that may have changed the resource makes it forget that."""
    response = await handler(None)
    if request.method not in _SAFE and plan.forgets and 200 <= response.status < 400:
        await cache.invalidate(plan, request, response)
    return CacheResult(response, "origin", 0, _BYPASS if plan.off else _METHOD, "bypass")
