"""An origin that answers as it is told and writes down what it was asked, and requests for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.support.clock import FakeClock
from tests.support.services import Background, make_env
from wws.bindings import Env
from wws.core.auth.user import User
from wws.core.policy import CachePolicy, Policy, Route
from wws.functions.cache_load import Cache
from wws.functions.cache_manager import CacheResult, cache_manager
from wws.http import Headers, Pair, Request, Response, Stream

FIXED = CachePolicy("fixed")
OBEY = CachePolicy("obey-origin")
URL = "http://127.0.0.1:3000"

Answer = Response | Exception


def route(cache: CachePolicy = FIXED, path: str = "/*") -> Route:
    return Route(path, "origin", cache=cache)


def answer(body: bytes | Stream = b"body", status: int = 200, **fields: str) -> Response:
    return Response(body, status, {name.replace("_", "-"): value for name, value in fields.items()})


class Pieces:
    """A stream in pieces that a test lets through one by one, or all at once."""

    def __init__(self, *pieces: bytes | Exception, held: bool = False) -> None:
        self._pieces = pieces
        self.gate = asyncio.Event()
        self.closed = False
        if not held:
            self.gate.set()

    async def _read(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await self.gate.wait()
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def _close(self) -> None:
        self.closed = True

    def stream(self) -> Stream:
        return Stream(self._read(), self._close)


class Origin:
    """The handler of a request: answers by `reply`, after `gate` where it is closed."""

    def __init__(self, reply: Callable[[], Answer] | None = None) -> None:
        self.reply: Callable[[], Answer] = reply or answer
        self.asked: list[list[Pair] | None] = []
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def calls(self) -> int:
        return len(self.asked)

    async def __call__(self, conditional: list[Pair] | None) -> Response:
        self.asked.append(conditional)
        await self.gate.wait()
        reply = self.reply()
        if isinstance(reply, Exception):
            raise reply
        return reply


class Site:
    """One gateway with one origin behind it."""

    def __init__(self, cache: CachePolicy = FIXED, **parts: Any) -> None:
        self.clock = FakeClock()
        self.route = route(cache)
        self.background = Background()
        policy = Policy(origins={"default": URL}, routes=(self.route,))
        self.env: Env = make_env(policy, self.clock, background=self.background, **parts)
        self.origin = Origin()

    def request(self, target: str = "/a", method: str = "GET", user: str | None = None, **fields: str) -> Request:
        headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
        request = Request(method, target, headers, authority="shop.example")
        request.route = self.route
        request.user = None if user is None else User(user)
        return request

    async def get(self, target: str = "/a", method: str = "GET", user: str | None = None, **fields: str) -> CacheResult:
        return await cache_manager(self.request(target, method, user, **fields), self.env, self.origin)

    async def send(self, request: Request) -> CacheResult:
        return await cache_manager(request, self.env, self.origin)

    async def later(self, seconds: float) -> None:
        """Background work is done, then time passes."""
        await self.background.drain()
        self.clock.advance(seconds)

    @property
    def cache(self) -> Cache:
        cache = self.env.wws.state["cache_manager"]
        assert isinstance(cache, Cache)
        return cache


async def settle() -> None:
    """Lets every task that can run do so until it waits."""
    for _ in range(50):
        await asyncio.sleep(0)


async def sent(response: Response) -> bytes:
    """The body as a host sends it: transforms applied."""
    if isinstance(response.body, bytes):
        return response.body
    stream = response.body
    sent = b""
    try:
        async for chunk in stream:
            sent += chunk if stream.transform is None else stream.transform.feed(chunk)
    except Exception:
        if stream.transform is not None:
            stream.transform.end("cut")
        raise
    return sent if stream.transform is None else sent + stream.transform.end("done")
