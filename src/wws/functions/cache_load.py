"""The way to the origin and back into the store: what is asked, what of the answer is kept, one refresh of a key at a time."""

from __future__ import annotations

import asyncio
from math import inf

from wws import codec
from wws.bindings import Services
from wws.core.cache import directives, freshness, status, storable, validate, vary
from wws.core.cache.entry import Entry
from wws.core.cache.key import PUBLIC
from wws.core.cache.shelf import Held, Key, Shelf, Uri
from wws.core.policy import Route
from wws.errors import Refusal, UpstreamError, WwsError
from wws.functions.cache_far import Far
from wws.functions.cache_flight import Flights
from wws.functions.cache_recording import Recording, drain
from wws.functions.cache_store import Ask, CacheResult, Moments, Plan, from_stored, targets
from wws.http import Pair, Request, Response

__all__ = ["Cache"]

REFRESH_SECONDS = 30.0
"""Deadline of a background refresh; after it another may begin, even where the host has ended the first without a word."""
REFRESH_PAUSE = 1.0
"""Seconds after a failed refresh before the next is tried: a failing origin is asked once a second, not once a request."""
MAX_REFRESHES = 64
"""Refreshes in progress in one process. A request that finds no room is served stale; a later one refreshes."""
SOLO_SECONDS = 10.0
"""How long a key whose answer could not be stored is remembered, so that nobody waits for it (hit-for-miss)."""
MAX_SOLO = 4096
MAX_INVALIDATED = 4096
MAX_PLANS = 1024


class Cache:
    """The cache of one process."""

    def __init__(self, wws: Services) -> None:
        self.monotonic = wws.clock.monotonic
        self.plans: dict[int, Plan] = {}
        self.shelf = Shelf()
        self.far = Far(wws)
        self.background = wws.background
        self.refreshing: dict[object, float] = {}
        self.solo: Moments[Key] = Moments(MAX_SOLO)
        self._invalidated: Moments[Uri] = Moments(MAX_INVALIDATED)
        self._all_changed = -inf  # when any answer may have changed
        self._tell = None if wws.forgotten is None else wws.forgotten.tell
        self.heard = None if wws.forgotten is None else wws.forgotten.listener()
        self._wws = wws
        self.flights = Flights(self, wws.share_in_flight)

    def plan(self, route: Route | None) -> Plan:
        """The plan of a route, made once."""
        if len(self.plans) >= MAX_PLANS:  # routes made per request, in a caller's own code
            self.plans.clear()
        plan = self.plans[id(route)] = Plan(self._wws, route)
        return plan

    async def invalidate(self, plan: Plan, request: Request, response: Response) -> None:
        """Forgets what a successful unsafe request may have changed, and what is being loaded of it right now."""
        uris = targets(plan, request, response)
        self._forget(uris)
        if self._tell is not None:
            self._tell(codec.encode(uris))
        for uri in uris:
            await self.far.forget(uri)

    def _forget(self, uris: list[Uri]) -> None:
        for uri in uris:
            self._invalidated.note(uri, self.monotonic())
            self.shelf.forget(uri)

    def listen(self) -> None:
        """Forgets what other processes have found to be changed."""
        if self.heard is None:
            return
        for message in self.heard():
            uris = None if message is None else _uris(message)
            if uris is None:
                self._all_changed = self.monotonic()
                self.shelf = Shelf()
            else:
                self._forget(uris)

    # -- stored answers

    def touch(self, ask: Ask, held: Held, age: float) -> None:
        """The rarer part of a hit: its first one, and those near the end of the lifetime."""
        held.used = True
        if not held.far:
            held.far = True
            if ask.scope.partition == PUBLIC:
                self.background(self.far.put(ask.key, held))
        if age >= held.early and held.due_early() and ask.request.method == "GET":
            self.refresh(ask, held)

    def stale(self, ask: Ask, held: Held, age: float) -> CacheResult:
        """Serves a stale answer and refreshes it behind."""
        held.used = True
        self.refresh(ask, held)
        return CacheResult(from_stored(held, age, ask.request), "stale", int(age), status.hit(held.fresh - age), "stale")

    def instead(self, ask: Ask, held: Held, age: float, code: int | None) -> CacheResult:
        """A stale answer in place of an error (RFC 5861 section 4)."""
        text = status.forwarded("stale", code, detail="stale-if-error")
        return CacheResult(from_stored(held, age, ask.request), "stale", int(age), text, "stale")

    def _put(self, ask: Ask, held: Held) -> bool:
        self.listen()
        if max(self._invalidated.get(ask.key[:5]), self._all_changed) >= ask.began:
            return False  # the resource changed while this answer was on its way
        self.shelf.put(ask.key, held)
        return True

    def find(self, ask: Ask) -> Held | None:
        """What this process holds for a request that may share answers."""
        slot = self.shelf.slots.get(ask.key)
        return None if slot is None else slot.match(ask.request.headers.raw, ask.request.headers.first)

    def flight_key(self, ask: Ask) -> object:
        """The key, with the request's selecting fields where the resource is known to vary."""
        slot = self.shelf.slots.get(ask.key)
        return ask.key if slot is None or not slot.fields else (ask.key, vary.select(slot.fields, ask.request.headers.raw))

    def alone(self, ask: Ask) -> bool:
        """Whether the last answer could not be stored, so that there is nothing to wait for."""
        return self.solo.get(ask.key) > self.monotonic()

    # -- the exchange with the origin

    async def go(self, ask: Ask, held: Held | None) -> tuple[CacheResult, Recording | None]:
        """Looks into the shared store where this process has nothing, then asks the origin."""
        if held is None and ask.scope.collapsible and ask.key[5] == PUBLIC and not self.alone(ask):
            entry = await self.far.get(ask.key, ask.request.headers.raw)
            held = None if entry is None else self._revive(ask, entry)
            if held is not None:
                age = self.monotonic() - held.born
                decision = freshness.reuse(held.terms, age)
                if decision == "fresh":
                    text = status.hit(held.fresh - age)
                    return CacheResult(from_stored(held, age, ask.request), "cache", int(age), text, "hit"), None
                if decision == "stale_revalidate":
                    return self.stale(ask, held, age), None
                ask.why = "stale"
        return await self._exchange(ask, held)

    def _revive(self, ask: Ask, entry: Entry) -> Held | None:
        """An answer of the shared store in this process's memory, unless it is past all use."""
        clock = self._wws.clock
        since = max(0.0, clock.time() - entry.response_time)
        now = clock.monotonic()
        said = directives.in_force(list(entry.headers))
        held = Held(entry, said, freshness.terms(entry, said, ask.plan.policy), now - since - entry.age)
        if freshness.reuse(held.terms, now - held.born) == "miss":
            return None
        if now - since <= max(self._invalidated.get(ask.key[:5]), self._all_changed):
            return None
        held.far = True
        self.shelf.put(ask.key, held)
        return held

    async def _exchange(self, ask: Ask, held: Held | None) -> tuple[CacheResult, Recording | None]:
        clock = self._wws.clock
        conditional: list[Pair] | None = []
        if held is not None:
            conditional = validate.conditions(held.entry)
        elif not ask.scope.collapsible or self.alone(ask):
            conditional = None  # hardly anything will be stored, so the client may as well validate its own copy
        sent = clock.time()
        try:
            response = await ask.handler(conditional)
            if response.status == 304 and held is not None:
                if validate.validates(held.entry, response.headers.raw):
                    return self._validated(ask, held, response, sent), None
                sent = clock.time()
                response = await ask.handler([])
        except (UpstreamError, Refusal) as error:
            age = 0.0 if held is None else clock.monotonic() - held.born
            if held is None or age >= held.error or not _is_outage(error):
                raise
            return self.instead(ask, held, age, None), None
        if held is not None and response.status in freshness.OUTAGE:
            age = clock.monotonic() - held.born
            if age < held.error:
                await _discard(response)
                return self.instead(ask, held, age, response.status), None
        return self._received(ask, held, response, sent)

    def _validated(self, ask: Ask, held: Held, response: Response, sent: float) -> CacheResult:
        """The stored answer after a 304 for it."""
        raw = response.headers.raw
        came = self._wws.clock.time()
        age = freshness.initial_age(raw, sent, came)
        entry = validate.freshen(held.entry, raw, came, age)
        headers = list(entry.headers)
        entry = entry._replace(vary=vary.select(vary.names(headers) or (), ask.request.headers.raw))
        said = directives.in_force(headers)
        fresh = Held(entry, said, freshness.terms(entry, said, ask.plan.policy), self.monotonic() - age)
        refused = storable.refusal(entry.status, headers, said, ask.plan.policy, ask.scope.guarded)
        stored = refused is None and self._put(ask, fresh)
        if refused is not None:
            self.shelf.drop(ask.key, held)
        data = from_stored(fresh, age, ask.request)
        data.headers.raw.extend([pair for pair in raw if pair[0] == b"set-cookie"])  # for this client, not for the store
        text = status.forwarded(ask.why, 304, stored=stored, detail=refused)
        return CacheResult(data, "origin", int(age), text, "miss")

    def _received(self, ask: Ask, held: Held | None, response: Response, sent: float) -> tuple[CacheResult, Recording | None]:
        """A new answer: stored at once, recorded while it passes, or only passed on."""
        code = None if held is None else response.status
        admitted = self._admit(ask, response, sent)
        if isinstance(admitted, str):
            if response.status < 500 and response.status not in (304, 429):
                if held is not None:
                    self.shelf.drop(ask.key, held)
                if ask.scope.collapsible:
                    self.solo.note(ask.key, self.monotonic() + SOLO_SECONDS)
            text = status.forwarded(ask.why, code, detail=admitted)
            return CacheResult(response, "origin", 0, text, "miss"), None
        entry, said, terms = admitted
        born = self.monotonic() - entry.age
        body = response.body
        age = int(entry.age)
        if not isinstance(body, bytes):

            def keep(whole: bytes) -> None:
                self._put(ask, Held(entry._replace(body=whole), said, terms, born))

            recording = Recording(keep, response.length, body.transform)
            body.transform = recording
            return CacheResult(response, "origin", age, status.forwarded(ask.why, code), "miss"), recording
        new = Held(entry._replace(body=body), said, terms, born)
        stored = self._put(ask, new)
        first = ask.request.headers.first
        if validate.CONDITIONAL.isdisjoint(first) or not validate.not_modified(ask.request.headers.raw, new.entry):
            data = response
        else:
            data = from_stored(new, entry.age, ask.request)
        return CacheResult(data, "origin", age, status.forwarded(ask.why, code, stored=stored), "miss"), None

    def _admit(self, ask: Ask, response: Response, sent: float) -> tuple[Entry, directives.Directives, freshness.Terms] | str:
        """What would be stored of an answer, but for its body, or why it may not be."""
        raw = response.headers.raw
        policy = ask.plan.policy
        said = directives.in_force(raw)
        refused = storable.refusal(response.status, raw, said, policy, ask.scope.guarded)
        if refused is not None:
            return refused
        body = response.body
        if (len(body) if isinstance(body, bytes) else response.length or 0) > storable.MAX_BODY:
            return "too-large"
        came = self._wws.clock.time()
        age = freshness.initial_age(raw, sent, came)
        selection = vary.select(vary.names(raw) or (), ask.request.headers.raw)
        entry = Entry(response.status, storable.kept(raw), b"", came, age, selection)
        terms = freshness.terms(entry, said, policy)
        return "expired" if storable.useless(entry, terms) else (entry, said, terms)

    # -- refresh

    def refresh(self, ask: Ask, held: Held) -> None:
        """Starts the one background refresh of a key, where there is none and room for it."""
        now = self.monotonic()
        name = self.flight_key(ask)
        started = self.refreshing.get(name)
        if now < held.retry_at or (started is not None and now - started < REFRESH_SECONDS):
            return
        if len(self.refreshing) >= MAX_REFRESHES:
            for old in [key for key, at in self.refreshing.items() if now - at >= REFRESH_SECONDS]:
                del self.refreshing[old]
            if len(self.refreshing) >= MAX_REFRESHES:
                return
        self.refreshing[name] = ask.began = now
        self.background(self._refresh(ask, held, name))

    async def _refresh(self, ask: Ask, held: Held, name: object) -> None:
        failed = True
        try:
            async with asyncio.timeout(REFRESH_SECONDS):
                result, recording = await self._exchange(ask, held)
                body = result.data.body
                if not isinstance(body, bytes):
                    if recording is None:
                        await body.aclose()
                    elif await drain(body, recording) is None:
                        self.shelf.drop(ask.key, held)
            failed = result.source == "stale" or result.data.status >= 500 or result.data.status == 429
        except (WwsError, TimeoutError):
            pass  # the stale answer is served on, until its window ends
        finally:
            if self.refreshing.get(name) == ask.began:
                del self.refreshing[name]
            if failed:
                held.retry_at = self.monotonic() + REFRESH_PAUSE


def _is_outage(error: UpstreamError | Refusal) -> bool:
    return isinstance(error, UpstreamError) or error.row.status in freshness.OUTAGE


async def _discard(response: Response) -> None:
    if not isinstance(response.body, bytes):
        await response.body.aclose()


def _uris(message: bytes) -> list[Uri] | None:
    """What a message names; None for one of another kind, as gateways of another version may send."""
    try:
        named: list[list[str]] = codec.decode(message)
        return [(site, scheme, authority, path, query) for site, scheme, authority, path, query in named]
    except (ValueError, TypeError):
        return None
