"""The values that pass through the cache: what is asked, by which plan, and what comes of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import urljoin, urlsplit

from wws.bindings import Endpoint, Services
from wws.core.cache import validate
from wws.core.cache.scope import Scope
from wws.core.cache.shelf import Held, Key, Uri
from wws.core.policy import CachePolicy, Route
from wws.http import Headers, Pair, Request, Response

__all__ = ["Ask", "CacheResult", "Handler", "Moments", "Plan", "from_stored", "targets"]

Handler = Callable[[list[Pair] | None], Awaitable[Response]]

K = TypeVar("K", bound=Hashable)


class Plan:
    """What the configuration fixes of one route's caching.

    `off`: nothing is cached. `forgets`: a successful unsafe request has something to invalidate. `site`: the address the
    route leads to, first part of every key.
    """

    __slots__ = ("forgets", "off", "policy", "route", "site")

    def __init__(self, wws: Services, route: Route | None) -> None:
        self.route = route
        self.policy: CachePolicy = wws.policy.cache if route is None else route.cache
        self.off = self.policy.mode == "off"
        self.site = _site(wws, route)
        self.forgets = not self.off or any(
            other.cache.mode != "off" and _site(wws, other) == self.site for other in wws.policy.routes
        )


def _site(wws: Services, route: Route | None) -> str:
    if route is None:
        return "here"
    if route.to == "origin":
        url = wws.policy.origins.get(route.target or "default")
        if url is not None:
            endpoint = Endpoint(url)
            return endpoint.origin + endpoint.base
    return f"{route.to}:{route.target or ''}"


class CacheResult(NamedTuple):
    """`source`: `cache`, `stale` or `origin`. `age` is in whole seconds, 0 for what is not stored. `status` is the text of
    `Cache-Status` after `wws; `. `outcome`: hit, stale, miss or bypass."""

    data: Response
    source: str
    age: int
    status: str
    outcome: str


class Ask:
    """One request on its way through the cache. `why` is the reason it is forwarded, `began` a monotonic time."""

    __slots__ = ("began", "handler", "key", "plan", "request", "scope", "why")

    def __init__(self, request: Request, plan: Plan, key: Key, scope: Scope, handler: Handler, why: str) -> None:
        self.request = request
        self.plan = plan
        self.key = key
        self.scope = scope
        self.handler = handler
        self.why = why
        self.began = 0.0


def from_stored(held: Held, age: float, request: Request) -> Response:
    """The stored answer as `request` gets it: with its `Age`, without its body for HEAD, or as 304."""
    first = request.headers.first
    if (b"if-none-match" in first or b"if-modified-since" in first) and validate.not_modified(request.headers.raw, held.entry):
        fields = validate.not_modified_fields(held.entry)
        fields.append((b"age", b"%d" % age))
        return Response(None, 304, Headers.trusted(fields))
    entry = held.entry
    headers = Headers.trusted([*held.pairs, (b"age", b"%d" % age)])
    if request.method == "HEAD":
        response = Response(None, entry.status, headers)
        response.length = len(entry.body)
        return response
    return Response(entry.body, entry.status, headers)


class Moments(Generic[K]):
    """A bounded map from a key to a monotonic time; the oldest entries are forgotten first."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._times: OrderedDict[K, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._times)

    def get(self, key: K) -> float:
        """The time noted for `key`, or one before all others."""
        return self._times.get(key, float("-inf"))

    def note(self, key: K, time: float) -> None:
        """Notes a time for `key`."""
        self._times[key] = time
        self._times.move_to_end(key)
        if len(self._times) > self._bound:
            self._times.popitem(last=False)


def targets(plan: Plan, request: Request, response: Response) -> list[Uri]:
    """The URIs that a successful unsafe request invalidates: its target, and those of `Location` and `Content-Location`
    where they have the same origin (RFC 9111 section 4.4)."""
    authority = request.authority.lower()
    found: list[Uri] = [(plan.site, request.scheme, authority, request.path, request.query_string)]
    for name in (b"location", b"content-location"):
        value = response.headers.first.get(name)
        if value is None:
            continue
        try:
            parts = urlsplit(urljoin(request.url, value.decode("latin-1")))
        except ValueError:
            continue
        if parts.scheme == request.scheme and parts.netloc.lower() == authority:
            found.append((plan.site, request.scheme, authority, parts.path, parts.query))
    return found
