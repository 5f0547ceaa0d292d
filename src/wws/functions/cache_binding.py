"""`env.cache`: answers kept by a function's own decision, after the Cache API of service workers (www.w3.org/TR/service-workers).

    kept = await env.cache.match(request)
    if kept is None:
        kept = Response.json(await compute(), headers={"cache-control": "max-age=60"})
        ctx.wait_until(env.cache.put(request, kept))
    return kept

What is kept during a request of a known user is that user's own; `env.cache.public` is shared by all. It is memory of one
process, bounded, and forgotten at its end.
"""

from __future__ import annotations

from typing import Final

from wws.bindings import Env
from wws.core.cache import directives, freshness, storable, vary
from wws.core.cache.entry import Entry
from wws.core.cache.key import PUBLIC, subject
from wws.core.cache.shelf import Held, Key, Shelf
from wws.core.policy import CachePolicy
from wws.functions.cache_store import from_stored
from wws.functions.scope import Bound, Scope
from wws.http import Request, Response, Stream

__all__ = ["Cache", "CacheBinding"]

_STATE: Final = "env.cache"
_SITE: Final = "env.cache"
MAX_BYTES: Final = 32 * 1024 * 1024
_OBEY: Final = CachePolicy("obey-origin")


class CacheBinding(Bound):
    """`env.cache` before it is bound to a request."""

    def bound(self, scope: Scope) -> Cache:
        user = scope._ctx.user
        pepper = scope._env.wws.secrets.pepper
        return Cache(scope._env, scope._request, PUBLIC if user is None else subject(user.id, pepper))


class Cache:
    """One partition of the cache. A request may be given as a `Request` or as an address; only GET is kept."""

    def __init__(self, env: Env, request: Request, partition: str, name: str = "default") -> None:
        self._env = env
        self._request = request
        self._partition = partition
        self._name = name
        shelf: Shelf | None = env.wws.state.get(_STATE)
        if shelf is None:
            shelf = env.wws.state[_STATE] = Shelf(MAX_BYTES)
        self._shelf = shelf

    @property
    def public(self) -> Cache:
        """What is shared by all callers: never put into it what is somebody's own."""
        return Cache(self._env, self._request, PUBLIC, self._name)

    def open(self, name: str) -> Cache:
        """Another cache of that name."""
        return Cache(self._env, self._request, self._partition, name)

    async def match(self, request: Request | str, *, ignore_method: bool = False) -> Response | None:
        """The answer kept for `request`, with its `Age`, or None. A conditional request that it satisfies gets 304."""
        asked = self._asked(request)
        if asked.method not in ("GET", "HEAD") and not ignore_method:
            return None
        key = self._key(asked)
        slot = self._shelf.slots.get(key)
        held = None if slot is None else slot.match(asked.headers.raw, asked.headers.first)
        if held is None:
            return None
        age = self._env.wws.clock.monotonic() - held.born
        if age >= held.fresh:
            self._shelf.drop(key, held)
            return None
        held.used = True
        return from_stored(held, age, asked)

    async def put(self, request: Request | str, response: Response) -> None:
        """Keeps an answer for as long as its `Cache-Control` or `Expires` says.

        A streamed body is read to its end, and `response` may still be returned. Raises `ValueError` for what no cache may
        keep: another method than GET, status 206, `Vary: *`, no lifetime, `Set-Cookie`, `no-store`, or `private` in the public
        cache.
        """
        asked = self._asked(request)
        if asked.method != "GET":
            raise ValueError(f"only GET is kept, not {asked.method}")
        raw = response.headers.raw
        said = directives.in_force(raw)
        if self._partition != PUBLIC:
            said = said._replace(private=False)  # RFC 9111 section 5.2.2.7: for a single user, which this partition is
        refused = storable.refusal(response.status, raw, said, _OBEY, False)
        if refused is not None:
            raise ValueError(f"the answer may not be kept: {refused}")
        body = response.body
        if isinstance(body, Stream):
            body = response.body = b"".join([piece async for piece in body])
        if len(body) > storable.MAX_BODY:
            raise ValueError(f"the answer may not be kept: more than {storable.MAX_BODY} bytes")
        now = self._env.wws.clock.time()
        selection = vary.select(vary.names(raw) or (), asked.headers.raw)
        entry = Entry(response.status, storable.kept(raw), body, now, freshness.initial_age(raw, now, now), selection)
        held = Held(entry, said, freshness.terms(entry, said, _OBEY), self._env.wws.clock.monotonic() - entry.age)
        self._shelf.put(self._key(asked), held)

    async def delete(self, request: Request | str) -> bool:
        """Forgets what is kept for `request`; whether there was anything."""
        key = self._key(self._asked(request))
        slot = self._shelf.slots.get(key)
        if slot is None:
            return False
        for held in list(slot.variants):
            self._shelf.drop(key, held)
        return True

    def _asked(self, request: Request | str) -> Request:
        return Request.of(request, base=self._request) if isinstance(request, str) else request

    def _key(self, request: Request) -> Key:
        site = f"{_SITE}:{self._name}"
        return (site, request.scheme, request.authority.lower(), request.path, request.query_string, self._partition)
