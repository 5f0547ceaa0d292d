"""One load for many: requests that want the same thing at the same time wait for the first of them (RFC 9111 section 4)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wws.core.cache import status
from wws.core.cache.shelf import Held
from wws.errors import Refusal, UpstreamError, WwsError
from wws.functions.cache_recording import Recording, drain
from wws.functions.cache_store import Ask, CacheResult, from_stored
from wws.http import Stream

if TYPE_CHECKING:
    from wws.functions.cache_load import Cache

__all__ = ["Flights"]

WAIT_SECONDS = 5.0
"""How long a request waits for the load of another before it goes alone."""
MAX_FLIGHTS = 1024


class Flight:
    """A load that others may wait for."""

    __slots__ = ("done", "error", "started", "waiting")

    def __init__(self, started: float) -> None:
        self.started = started
        self.done = asyncio.Event()
        self.waiting = 0
        self.error: WwsError | None = None


class Flights:
    """The loads in progress, by key."""

    def __init__(self, cache: Cache, share: bool) -> None:
        self._cache = cache
        self._share = share
        self._monotonic = cache.monotonic
        self._flights: dict[object, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def load(self, ask: Ask, held: Held | None) -> CacheResult:
        """Asks the origin, or waits for a request that is asking it for the same."""
        cache = self._cache
        now = ask.began = self._monotonic()
        unsharable = not ask.scope.collapsible or not self._share or cache.solo.get(ask.key) > now
        if unsharable or (held is not None and held.fresh <= 0.0):
            return (await cache.go(ask, held))[0]
        name = cache.flight_key(ask)
        if self._aloft(name) is not None:
            found = await self._queue(ask, held, name)
            if found is not None:
                return found
            ask.began = self._monotonic()
            if self._aloft(name) is not None or cache.solo.get(ask.key) > now:
                return (await cache.go(ask, cache.find(ask)))[0]
            held = cache.find(ask)
        return await self._lead(ask, held, name)

    def _aloft(self, name: object) -> Flight | None:
        flight = self._flights.get(name)
        return flight if flight is not None and self._monotonic() - flight.started < WAIT_SECONDS else None

    async def _queue(self, ask: Ask, held: Held | None, name: object) -> CacheResult | None:
        """Waits for the loads of `name`, one after another; None when this request has to go itself."""
        flight = self._aloft(name)
        if flight is None:
            return None
        flight.waiting += 1
        await asyncio.sleep(0)  # a host may run a request up to its first wait outside of a task, which `timeout` asks for
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    await flight.done.wait()
                    found = self._landed(ask, held, flight)
                    if found is not None or self._cache.solo.get(ask.key) > flight.started:
                        return found
                    flight = self._aloft(name)
                    if flight is None:
                        return None
                    flight.waiting += 1
        except TimeoutError:
            pass
        return None

    def _landed(self, ask: Ask, held: Held | None, flight: Flight) -> CacheResult | None:
        """What a load that has ended gives to one who waited for it."""
        cache = self._cache
        now = self._monotonic()
        if flight.error is not None:  # asking again at once would put every waiter on an origin that is down
            if held is not None and now - held.born < held.error:
                return cache.instead(ask, held, now - held.born, None)
            raise flight.error.with_traceback(None)
        found = cache.find(ask)
        if found is None:
            return None
        age = now - found.born
        if age >= found.fresh:
            return cache.stale(ask, found, age) if age < found.stale else None
        found.used = True
        text = status.forwarded(ask.why, collapsed=True)
        return CacheResult(from_stored(found, age, ask.request), "origin", int(age), text, "miss")

    async def _lead(self, ask: Ask, held: Held | None, name: object) -> CacheResult:
        if len(self._flights) >= MAX_FLIGHTS:  # streams whose host never said how they ended
            for old in [key for key in self._flights if self._aloft(key) is None]:
                del self._flights[old]
        flight = self._flights[name] = Flight(self._monotonic())
        task = asyncio.ensure_future(self._fly(ask, held, name, flight))
        try:
            return (await asyncio.shield(task))[0]
        except asyncio.CancelledError:
            # The client has left; the load goes on for the others and for the store.
            self._cache.background(_adopt(task))
            raise

    async def _fly(self, ask: Ask, held: Held | None, name: object, flight: Flight) -> tuple[CacheResult, Recording | None]:
        def land() -> None:
            if self._flights.get(name) is flight:
                del self._flights[name]
            flight.done.set()

        try:
            result, recording = await self._cache.go(ask, held)
            data = result.data
            if recording is not None and not isinstance(data.body, bytes):
                recording.then = land
                if not flight.waiting or data.length is None:
                    return result, recording
                # Others wait, and it is known to be small: it is read at once, not at the pace of the first client.
                data.body = await _whole(data.body, recording, data.length)
                data.length = None
        except BaseException as error:
            flight.error = error if isinstance(error, WwsError) else None
            land()
            raise
        land()
        return result, None


async def _whole(stream: Stream, recording: Recording, length: int) -> bytes:
    try:
        body = await drain(stream, recording)
    except UpstreamError as error:
        raise Refusal("origin_unreachable", "The origin server ended its answer early.") from error
    if body is None or len(body) != length:
        raise Refusal("origin_malformed")
    return body


async def _adopt(task: asyncio.Task[tuple[CacheResult, Recording | None]]) -> None:
    """Brings a load to its end whose client has left."""
    try:
        result, recording = await task
        body = result.data.body
        if isinstance(body, bytes):
            return
        if recording is None:
            await body.aclose()
        else:
            await drain(body, recording)
    except WwsError:
        pass  # there is nobody left to tell
