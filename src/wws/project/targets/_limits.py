"""What an edge platform cannot do, found before anything is deployed there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Literal

from wws.bindings import Endpoint
from wws.project.locate import Path
from wws.project.targets._plain import Edge

__all__ = ["STORES", "Reach", "refusals", "warnings"]

_COUNTS = "Workers KV cannot count exactly: counts are kept in Durable Objects by themselves; allowed here: no `store` at all"
STORES = {
    "lmdb:": "LMDB needs a disk, and there is none; allowed here: no `store` at all, for Workers KV and Durable Objects",
    "memory:": "a memory of its own in every place would count in each alone; allowed here: no `store` at all",
    "redis": "a worker holds no connection to Redis; allowed here: no `store` at all, for Workers KV and Durable Objects",
    "valkey": "a worker holds no connection to Valkey; allowed here: no `store` at all, for Workers KV and Durable Objects",
    "workers-kv": _COUNTS,
    "kv:": _COUNTS,
    "cloudflare": _COUNTS,
}
"""Stores by the beginning of their address, and why each is refused."""
OWN = "WWS_"
"""Bindings that begin so are the gateway's own."""

Refusal = tuple[Path, str]


Reach = Literal["machine", "network", "world"]
"""Which addresses a runtime reaches: this machine's too, those of a private network, public ones only."""


def refusals(edge: Edge, reach: Reach) -> Iterator[Refusal]:
    """Each place of the file with what cannot be had there."""
    yield from _server(edge)
    yield from _addresses(edge, reach)
    yield from _names(edge)
    yield from _jobs(edge)


def _server(edge: Edge) -> Iterator[Refusal]:
    given = edge.document.get("server", {})
    if given.get("trusted_proxies"):
        networks = ", ".join(map(str, edge.project.server.trusted_proxies))
        yield ("server", "trusted_proxies"), f"found {networks}: no CIDR is asked here, the platform says who the client is"
    for name in ("cert", "key"):
        if name in given:
            yield ("server", name), "the platform ends TLS with certificates of its own; allowed here: nothing"


def _addresses(edge: Edge, reach: Reach) -> Iterator[Refusal]:
    policy = edge.project.policy
    for name, url in policy.origins.items():
        place: Path = ("origin", "url") if name == "default" else ("origins", name, "url")
        yield from _address(place, url, reach)
    for name, provider in policy.providers.items():
        for key in ("base_url", "anthropic_url"):
            if (url := getattr(provider, key)) is not None:
                yield from _address(("providers", name, key), url, reach)
    if policy.auth.supabase_url is not None:
        yield from _address(("auth", "supabase_url"), policy.auth.supabase_url, reach)


def _address(place: Path, url: str, reach: Reach) -> Iterator[Refusal]:
    endpoint = Endpoint(url)
    if endpoint.unix is not None:
        yield place, f"found {url}: there are no sockets of a machine; allowed here: http:// or https://"
    elif (word := _OUT_OF_REACH[reach](endpoint.host)) is not None:
        yield place, f"found {url}: {word}"


def _private(host: str) -> str | None:
    if _of_machine(host) is None and not _told(host, "is_private"):
        return None
    return "nothing of this machine or network is reached from there; allowed here: a public address"


def _of_machine(host: str) -> str | None:
    if host == "localhost" or host.endswith(".localhost") or _told(host, "is_loopback"):
        return "nothing of this machine is reached from there; allowed here: an address of another one"
    return None


def _told(host: str, what: str) -> bool:
    try:
        return bool(getattr(ip_address(host), what))
    except ValueError:
        return False


_OUT_OF_REACH: dict[Reach, Callable[[str], str | None]] = {
    "machine": lambda host: None,
    "network": _of_machine,
    "world": _private,
}


def _names(edge: Edge) -> Iterator[Refusal]:
    for index, binding in enumerate(edge.project.kv_namespaces):
        if binding.startswith(OWN):
            yield ("kv_namespaces", index, "binding"), f'found "{binding}": names that begin with {OWN} are the gateway\'s own'
    for name in edge.project.vars:
        if name.startswith(OWN):
            yield ("vars", name), f'found "{name}": names that begin with {OWN} are the gateway\'s own'


def _jobs(edge: Edge) -> Iterator[Refusal]:
    for index, queue in enumerate(edge.project.queues):
        yield ("queues", index), f'found "{queue.binding}": queues are kept by a gateway of one\'s own; allowed here: none'
    for index, one in enumerate(edge.project.crons):
        place: Path = ("triggers", "crons", index)
        if (one.timezone or "UTC") != "UTC":
            yield place, f'found "{one.cron}" by the clock of {one.timezone}: crons of the platform are in UTC; allowed here: UTC'
        if len(one.cron.split()) != 5:
            yield place, f'found "{one.cron}", with seconds; allowed here: five fields, the first are minutes'


_WITHOUT_EFFECT = ("listen", "admin", "workers", "max_connections", "header_timeout", "keep_alive")


def warnings(edge: Edge) -> Iterator[str]:
    """What is served differently there."""
    given = [name for name in _WITHOUT_EFFECT if name in edge.document.get("server", {})]
    if given:
        yield f"[server] {', '.join(given)}: without effect, the platform listens"
    gated = [
        name for name, one in edge.project.policy.providers.items() if one.concurrency is not None or one.kind == "synthetic"
    ]
    if gated:
        yield f"[providers] {', '.join(gated)}: places and breakers are counted in each isolate, not in all together"
