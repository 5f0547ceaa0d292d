"""What an edge platform cannot do, found before anything is deployed there."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from wws.bindings import Endpoint
from wws.project.locate import Path
from wws.project.targets._plain import Edge

__all__ = ["STORES", "refusals", "warnings"]

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


def refusals(edge: Edge, *, here: bool) -> Iterator[Refusal]:
    """Each place of the file with what cannot be had there. `here`: the runtime is on this machine, and reaches it."""
    yield from _server(edge)
    yield from _addresses(edge, here)
    yield from _names(edge)


def _server(edge: Edge) -> Iterator[Refusal]:
    given = edge.document.get("server", {})
    if given.get("trusted_proxies"):
        networks = ", ".join(map(str, edge.project.server.trusted_proxies))
        yield ("server", "trusted_proxies"), f"found {networks}: no CIDR is asked here, the platform says who the client is"
    for name in ("cert", "key"):
        if name in given:
            yield ("server", name), "the platform ends TLS with certificates of its own; allowed here: nothing"


def _addresses(edge: Edge, here: bool) -> Iterator[Refusal]:
    policy = edge.project.policy
    for name, url in policy.origins.items():
        place: Path = ("origin", "url") if name == "default" else ("origins", name, "url")
        yield from _address(place, url, here)
    for name, provider in policy.providers.items():
        for key in ("base_url", "anthropic_url"):
            if (url := getattr(provider, key)) is not None:
                yield from _address(("providers", name, key), url, here)
    if policy.auth.supabase_url is not None:
        yield from _address(("auth", "supabase_url"), policy.auth.supabase_url, here)


def _address(place: Path, url: str, here: bool) -> Iterator[Refusal]:
    endpoint = Endpoint(url)
    if endpoint.unix is not None:
        yield place, f"found {url}: there are no sockets of a machine; allowed here: http:// or https://"
    elif not here and _local(endpoint.host):
        yield place, f"found {url}: nothing of this machine or network is reached from there; allowed here: a public address"


def _local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_private
    except ValueError:
        return False


def _names(edge: Edge) -> Iterator[Refusal]:
    for index, binding in enumerate(edge.project.kv_namespaces):
        if binding.startswith(OWN):
            yield ("kv_namespaces", index, "binding"), f'found "{binding}": names that begin with {OWN} are the gateway\'s own'
    for name in edge.project.vars:
        if name.startswith(OWN):
            yield ("vars", name), f'found "{name}": names that begin with {OWN} are the gateway\'s own'


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
