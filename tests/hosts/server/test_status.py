"""What /status tells of several processes as one."""

from __future__ import annotations

from typing import Any

from wws.hosts.server.status import merged


def route(model: str = "m", **fields: Any) -> dict[str, Any]:
    return {
        "provider": "p", "model": model, "breaker": "closed", "quota": "closed", "cause": None, "retry_in": None, "places": None,
        **fields,
    }  # fmt: skip


def process(*routes: dict[str, Any], degraded: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"upstreams": list(routes), "degraded": list(degraded), "store": {"kind": "lmdb"}}


def test_the_worst_state_counts_and_places_are_added() -> None:
    found = merged(
        [
            process(route(places={"limit": 2, "in_use": 2, "waiting": 1, "shared": False}), route("other")),
            process(
                route(breaker="open", quota="half-open", cause="provider_timeout", retry_in=4.0,
                      places={"limit": 2, "in_use": 1, "waiting": 0, "shared": False}),
            ),
            process(route(breaker="half-open", retry_in=9.5), degraded=("limit",)),
            process(degraded=("limit", "cache")),
        ]
    )  # fmt: skip
    assert found["upstreams"] == [
        route(breaker="open", quota="half-open", cause="provider_timeout", retry_in=9.5,
              places={"limit": 4, "in_use": 3, "waiting": 1, "shared": False}),
        route("other"),
    ]  # fmt: skip
    assert found["degraded"] == ["limit", "cache"] and found["store"] == {"kind": "lmdb"}


def test_places_that_are_shared_are_the_same_for_all() -> None:
    one, other = ({"limit": 2, "in_use": used, "waiting": 1, "shared": True} for used in (2, 0))
    [found] = merged([process(route(places=one)), process(route(places=other))])["upstreams"]
    assert found["places"] == {"limit": 2, "in_use": 2, "waiting": 2, "shared": True}


def test_of_no_process_there_is_nothing_to_tell() -> None:
    assert merged([]) == {"upstreams": [], "store": {}, "degraded": []}
