"""The gateway as an app of the data plane: each request gets its id, its deadline and its trail."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from wws.bindings import Context, Env
from wws.core.trail import Trail
from wws.core.wire.notes import acceptable_id
from wws.gateway import Gateway
from wws.http import Outcome, Request, Response
from wws.observe.log import RequestLog
from wws.observe.tally import Tally

_LAST: Final = [f"{number:03x}" for number in range(4096)]
"""The last digits of a request's number: formatting them for each cost a fortieth of its CPU."""


class Canary:
    """A gateway that answers only the callers that `chosen` picks: a version that is being rolled out."""

    __slots__ = ("chosen", "env", "gateway")

    def __init__(self, gateway: Gateway, env: Env, chosen: Callable[[Request], bool]) -> None:
        self.gateway = gateway
        self.env = env
        self.chosen = chosen

    def handle(self, request: Request, ctx: Context) -> Coroutine[Any, Any, Response]:
        """`Gateway.handle` with its own environment."""
        return self.gateway.handle(request, self.env, ctx)


class Application:
    """An app for `Server`. `prefix` makes request ids of this process its own."""

    __slots__ = (
        "_background", "_canary", "_group", "_monotonic", "_number", "_prefix", "_retired", "_total", "env", "gateway",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, env: Env, background: Callable[[Any], None], prefix: str) -> None:
        self.gateway = gateway
        self._background = background
        self._prefix = prefix
        self._number = 0
        self._group = prefix + "00000"
        self._monotonic = env.wws.clock.monotonic
        self._retired: list[Gateway] = []
        self._canary: Canary | None = None
        self.use(gateway, env)

    def use(self, gateway: Gateway, env: Env, canary: Canary | None = None) -> None:
        """Every request from now on is answered by `gateway`, or by the `canary` where that is chosen; those that run keep
        the one they began with."""
        before = self.gateway if self._canary is None else self._canary.gateway
        kept = {id(old): old for old in (*self._retired, self.gateway, before)}.values()
        self._retired = [old for old in kept if old is not gateway and old.in_flight]
        self._canary = canary
        gateway.ready = self.gateway.ready
        self.gateway, self.env = gateway, env
        self._total = env.wws.policy.timeouts.total

    @property
    def in_flight(self) -> int:
        """Requests in progress, those of gateways that were replaced too."""
        beside = 0 if self._canary is None else self._canary.gateway.in_flight
        return self.gateway.in_flight + beside + sum([old.in_flight for old in self._retired])

    def own(self, path: str) -> Response:
        """The gateway's own pages."""
        return self.gateway.own(path)

    def __call__(self, request: Request) -> Coroutine[Any, Any, Response]:
        given = request.headers.first.get(b"x-request-id")
        if given is not None and acceptable_id(text := given.decode("latin-1")):
            request_id = text
        else:
            number = self._number = self._number + 1
            if not number & 0xFFF:
                self._group = f"{self._prefix}{number >> 12:05x}"
            request_id = self._group + _LAST[number & 0xFFF]
        now = self._monotonic()
        if self._canary is not None and self._canary.chosen(request):
            return self._canary.handle(request, Context(request_id, now + self._total, Trail(now), self._background))
        return self.gateway.handle(request, self.env, Context(request_id, now + self._total, Trail(now), self._background))


class Observers:
    """Everybody who is told of a finished request: `tap` while somebody looks on."""

    __slots__ = ("_log", "_monotonic", "_tally", "tap")

    def __init__(self, tally: Tally, log: RequestLog, monotonic: Callable[[], float]) -> None:
        self._tally = tally
        self._log = log
        self._monotonic = monotonic
        self.tap: Callable[[Request, Context, int, Outcome, int, float], None] | None = None

    def __call__(self, request: Request, ctx: Context, status: int, outcome: Outcome, sent: int) -> None:
        total = self._monotonic() - ctx.trail.started
        cell = self._tally.add(request, ctx, status, outcome, sent, total)
        self._log.add(request, ctx, status, outcome, sent, total, cell)
        if self.tap is not None:
            self.tap(request, ctx, status, outcome, sent, total)
