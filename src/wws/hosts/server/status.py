"""What `/status` tells of one process, and of several as one. Plain data, in seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wws import codec
from wws.core.resilience.breaker import CLOSED, HALF_OPEN, OPEN
from wws.core.resilience.gate import Gate
from wws.functions.upstreams import Upstream, upstreams_of
from wws.hosts.server.process import Process

__all__ = ["STATES", "merged", "process_fields"]

STATES = {CLOSED: "closed", HALF_OPEN: "half-open", OPEN: "open"}
_WORSE = ("closed", "half-open", "open")


def process_fields(process: Process) -> dict[str, Any]:
    """The parts of one process: what it has in hand, its store, and every route to a provider it has used."""
    now = process.clock.monotonic()
    store = process.store
    page = process.application.own("/readyz").body
    ready = codec.decode(page) if isinstance(page, bytes) else {}
    return {
        "version": process.generation.project.policy.version,
        "in_flight": process.application.in_flight,
        "upstream_connections": process.dialer.open_connections,
        "background": len(process.background),
        "degraded": ready.get("degraded", []),
        "store": {
            "kind": process.generation.project.store_url.partition(":")[0],
            "consistency": getattr(store, "consistency", None),
        },
        "upstreams": [_route(route, now) for route in upstreams_of(process.application.env)],
    }


def _route(route: Upstream, now: float) -> dict[str, Any]:
    gate, quota = route.gate, route.account.quota
    return {
        "provider": route.ref.provider,
        "model": route.ref.model,
        "breaker": STATES[route.breaker.state],
        "quota": STATES[quota.state],
        "cause": route.cause,
        "retry_in": round(max(0.0, route.until - now), 1) if route.state != CLOSED else None,
        "places": None if gate is None else _places(gate),
    }


def _places(gate: Gate) -> dict[str, Any]:
    return {"limit": gate.limit, "in_use": gate.in_use, "waiting": gate.waiting, "shared": gate.shared is not None}


def merged(fields: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The routes, degradations and store of several processes as those of one: the worst state, the sum of the places."""
    routes: dict[tuple[str, str], dict[str, Any]] = {}
    degraded: list[str] = []
    store: dict[str, Any] = {}
    for one in fields:
        store = store or one["store"]
        degraded += [name for name in one["degraded"] if name not in degraded]
        for route in one["upstreams"]:
            key = (route["provider"], route["model"])
            known = routes.get(key)
            routes[key] = route if known is None else _both(known, route)
    return {"upstreams": [routes[key] for key in sorted(routes)], "store": store, "degraded": degraded}


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    times = [time for time in (one["retry_in"], other["retry_in"]) if time is not None]
    places = [place for place in (one["places"], other["places"]) if place is not None]
    return {
        **one,
        "breaker": max(one["breaker"], other["breaker"], key=_WORSE.index),
        "quota": max(one["quota"], other["quota"], key=_WORSE.index),
        "cause": one["cause"] or other["cause"],
        "retry_in": max(times) if times else None,
        "places": _all_places(places) if places else None,
    }


def _all_places(places: list[dict[str, Any]]) -> dict[str, Any]:
    """Places that are shared are the same ones for all."""
    shared = places[0]["shared"]
    limits = [place["limit"] for place in places]
    return {
        "limit": max(limits) if shared else sum(limits),
        **{name: sum(place[name] for place in places) for name in ("in_use", "waiting")},
        "shared": shared,
    }
