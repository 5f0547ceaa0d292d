"""The ports: what a host lends to the gateway and to functions. Small protocols, asked for by capability.

    KV        get, put, delete, list            text and bytes up to 64 KiB, eventual consistency
    Counter   take, give                        exact counting; not every KV can
    Dial      send                              one HTTP exchange with a configured upstream
    Provider  send, classify                    what one AI provider does differently
    Crypto    verify                            a public-key signature
    Clock     time, monotonic, sleep            an argument everywhere, so tests never wait
    Claims    claim, release                    one of many gets it: the lease behind a cron tick
    Queues    send, lease, settle, ...          messages delivered at least once

`Services` is the set of them a host has put together; `Env` is what a function gets as `env`; `Context` as `ctx`.
"""

from __future__ import annotations

import asyncio as _asyncio
import time as _time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

from wws.core.auth.user import User
from wws.core.limit.decision import Decision
from wws.core.policy import ModelRef, Policy, Timeouts
from wws.core.queue.delivery import Settlement
from wws.core.queue.message import Counts, Message
from wws.core.resilience.gate import Places
from wws.core.trail import Trail
from wws.env import Env
from wws.http import Body, Headers, Outcome, Pair, Request, Response

__all__ = [
    "COOLDOWNS",
    "KV",
    "QUEUE_WAIT",
    "Call",
    "Claims",
    "Clock",
    "Context",
    "Counter",
    "Crypto",
    "Dial",
    "Endpoint",
    "Env",
    "Kept",
    "KeyPage",
    "LIMIT_DEGRADED",
    "Provider",
    "Queues",
    "Secrets",
    "Services",
    "SystemClock",
    "Verdict",
]

T = TypeVar("T")
COOLDOWNS = "wws_cooldowns"
QUEUE_WAIT = "wws_queue_wait_seconds"
LIMIT_DEGRADED = "wws_limit_degraded"
"""What `Services.measure` is told of."""
MAX_VALUE = 64 * 1024
"""Bytes of a KV value: the smallest of the platforms' limits (Deno KV, docs.deno.com/deploy/kv)."""
MIN_TTL = 60
"""Seconds: the shortest expiration Cloudflare KV takes (developers.cloudflare.com/kv/api/write-key-value-pairs)."""


class KeyPage(NamedTuple):
    """A page of key names; `cursor` None when it was the last."""

    keys: list[str]
    cursor: str | None


class Kept(NamedTuple):
    """A value and when it expires, wall seconds; None: never."""

    value: bytes
    expires_at: float | None


class KV(Protocol):
    """A key-value store. Expired keys are absent. Raises `StoreError` when the store fails, never for a missing key.

    A store may also have `epoch() -> int`: a number that is another one once a durable `put` or a `delete` has been done by any
    process that shares the store. What was read while it was the same still holds; it costs next to nothing to ask.
    """

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""
        ...

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        """Writes; the key is absent `expiration_ttl` seconds later. `durable` waits until a power cut cannot lose it."""
        ...

    async def delete(self, key: str) -> None:
        """Removes; a missing key is no error."""
        ...

    async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> KeyPage:
        """Key names with `prefix` in ascending order of their UTF-8 bytes, at most `limit` (1 to 1000) a page."""
        ...


class Counter(Protocol):
    """Exact counting: however many ask at once, no more than the limit are allowed."""

    async def take(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> Decision:
        """Counts `cost` against `limit` per `period` seconds, or refuses and changes nothing.

        Without `burst` a sliding window, with it GCRA. `now` is wall time in seconds, the store's own where None.
        Raises `StoreError`.
        """
        ...

    # A counter that never waits has `take_now` too: the same, at once.

    async def give(
        self, key: str, limit: int, period: float, cost: int = 1, now: float | None = None, *, burst: int | None = None
    ) -> None:
        """Gives back what a `take` that was allowed had counted."""
        ...


class ApproximateLimiter(Protocol):
    """Counting that is cheap and not exact, for limits that say so (`Limit.approximate`). `consistency` says how far off."""

    consistency: str

    async def allow(self, key: str, limit: int, period: float) -> bool:
        """Counts one request against `limit` per `period` seconds. Raises `StoreError`."""
        ...


class Claims(Protocol):
    """Names that one of all who share the store holds at a time."""

    async def claim(self, name: str, ttl: float) -> bool:
        """Whether the caller holds `name` from now on: False while someone does, until `release` or `ttl` seconds later.

        Raises `StoreError`.
        """
        ...

    async def release(self, name: str) -> None:
        """Lets go of `name`; one that nobody holds is no error. Raises `StoreError`."""
        ...


class Queues(Protocol):
    """Queues by name. What is sent stays until it is settled, whichever process of those who share the store ends meanwhile.

    Every method raises `StoreError` when the store fails. Times are wall seconds of the store's clock.
    """

    async def send(self, queue: str, bodies: Sequence[bytes], delay: float = 0.0, most: int = 100_000) -> list[str]:
        """Takes messages, due `delay` seconds from now: their ids, when a crash can no longer lose them.

        Raises `QueueFull`, and takes none, where the queue would hold more than `most`, dead letters included.
        """
        ...

    async def lease(self, queue: str, most: int, visibility: float, patience: float = 0.0) -> tuple[list[Message], float]:
        """Up to `most` messages that are due, each with a receipt and due again `visibility` seconds from now.

        Fewer than `most` are held back until the first of them has waited for `patience` seconds. When there are none, the
        seconds after which to look again, infinity for an empty queue.
        """
        ...

    async def settle(self, queue: str, settlements: Sequence[Settlement]) -> int:
        """Does what is said with delivered messages: with how many. One that was delivered anew since is left alone."""
        ...

    async def counts(self, queue: str) -> Counts:
        """How many messages there are."""
        ...

    async def peek(self, queue: str, limit: int = 10, *, dead: bool = False) -> list[Message]:
        """The next messages, or the oldest dead letters, left as they are."""
        ...

    async def redrive(self, queue: str, limit: int = 1000) -> int:
        """Makes the oldest dead letters messages again, due now and with no attempts: how many."""
        ...

    async def purge(self, queue: str, *, dead: bool = False) -> int:
        """Removes every message, or every dead letter: how many."""
        ...


class Endpoint:
    """A configured upstream, parsed once: `https://api.example.com/v1` -> scheme, host, port, base path.

    `address`, when given, is the IP address to connect to, whatever the name resolves to.
    `unix` is the socket's path for `http+unix:///path/to.sock:/base` addresses. Raises `ValueError` for what is no such URL.
    """

    __slots__ = ("address", "authority", "base", "host", "origin", "port", "scheme", "unix", "url")

    def __init__(self, url: str, address: str | None = None) -> None:
        parts = urlsplit(url)
        self.address = address
        self.unix: str | None = None
        if parts.scheme == "http+unix":
            self.unix, _, base = parts.path.partition(":")
            self.scheme, self.host, self.port, self.authority = "http", "localhost", 80, "localhost"
            if not self.unix.startswith("/"):
                raise ValueError(f"{url!r} names no socket: write http+unix:///path/to.sock")
        elif parts.scheme in ("http", "https") and parts.hostname:
            if parts.username is not None or parts.query or parts.fragment:
                raise ValueError(f"{url!r} must have no user, query or fragment")
            self.scheme, self.host = parts.scheme, parts.hostname
            default = 443 if parts.scheme == "https" else 80
            self.port = parts.port or default
            name = f"[{self.host}]" if ":" in self.host else self.host
            self.authority = name if self.port == default else f"{name}:{self.port}"
            base = parts.path
        else:
            raise ValueError(f"{url!r} is not an http:// or https:// address")
        self.url = url
        self.base = base.rstrip("/")
        self.origin = f"{self.scheme}://{self.unix or ''}{self.authority}{'' if address is None else '@' + address}"

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r})"


class Dial(Protocol):
    """One HTTP exchange with a configured upstream; redirects are not followed.

    `target` is the request target, base path included. `headers` lack `host` and framing fields, which the host adds; a list that
    was given is not changed afterwards.
    The answer comes when its head has arrived; its body is `bytes` when it has arrived whole too, else a `Stream`.
    1xx answers other than 101 are dropped. Raises `UpstreamError`. `deadline` is monotonic seconds.

    A coroutine function, or a function that gives something to wait for; it is awaited at once.
    """

    def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: list[Pair],
        body: bytes | Body,
        timeouts: Timeouts,
        deadline: float | None = None,
    ) -> Awaitable[Response]:
        """See the class."""
        ...


class Call:
    """One call of an AI endpoint, as the router leaves it to a provider.

    `operation` is `chat`, `messages` (Anthropic's shape), `embeddings` or `models`. `body` is the caller's JSON object
    split into its top-level members (`codec.split`), to be changed by copy only. `warnings` and `hide_usage` are set by
    `send`: request fields that were dropped or changed for this provider, as `x-wws-warning` names them; and whether the
    stream's usage chunk was asked for by us, when the caller did not want it.
    """

    __slots__ = ("body", "deadline", "headers", "hide_usage", "model", "operation", "stream", "timeouts", "warnings")

    def __init__(
        self,
        operation: str,
        model: ModelRef,
        body: dict[str, Any],
        stream: bool,
        headers: Headers,
        timeouts: Timeouts,
        deadline: float,
    ) -> None:
        self.operation = operation
        self.model = model
        self.body = body
        self.stream = stream
        self.headers = headers
        self.timeouts = timeouts
        self.deadline = deadline
        self.warnings: list[str] = []
        self.hide_usage = False


class Verdict(NamedTuple):
    """What a provider's answer means: an `error_type` of the closed set, the public code, and seconds to stay away if it said so.

    `detail` is the provider's reason where it is the caller's to know (content policy, bad parameter), cleaned of secrets.
    """

    error_type: str
    code: str
    retry_after: float | None = None
    detail: str | None = None
    param: str | None = None


class Provider(Protocol):
    """An AI provider: translates, decides nothing."""

    name: str
    base_url: str
    operations: frozenset[str]
    finish_reasons: Mapping[str, str | None]
    """Its own finish reasons in OpenAI's words; None marks one that means failure."""

    def send(self, call: Call, dial: Dial) -> Awaitable[Response]:
        """Sends the call; the answer with its body whole or as a stream. Raises `UpstreamError`.

        A coroutine function, or a function that gives something to wait for, as `Dial.send`.
        """
        ...

    def classify(self, status: int, headers: Headers, body: bytes) -> Verdict | None:
        """What an answer means when it is an error; None for a good one. Also finds errors inside HTTP 200."""
        ...


class Crypto(Protocol):
    """Public-key signatures, by `cryptography` or WebCrypto."""

    async def verify(self, algorithm: str, jwk: Mapping[str, Any], signed: bytes, signature: bytes) -> bool:
        """Whether `signature` over `signed` is good under `jwk` (RFC 7517) with `algorithm` ES256, RS256 or EdDSA.

        A key that cannot be used is False, not an error.
        """
        ...


class Clock(Protocol):
    """Time as an argument."""

    def time(self) -> float:
        """Wall time, seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that never steps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...


class SystemClock:
    """The machine's clock."""

    time = staticmethod(_time.time)
    monotonic = staticmethod(_time.monotonic)
    sleep = staticmethod(_asyncio.sleep)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets of the deployment. `pepper` keys every digest that is stored; a new one empties the session cache."""

    pepper: bytes = field(repr=False)


Shares = Callable[[str, str, int], tuple[int, Places | None]]
"""Given a provider, a model and how many requests it takes at a time: how many of them may be this process's, and where
several processes share them."""


def alone(provider: str, model: str, limit: int) -> tuple[int, Places | None]:
    """All places are this process's own."""
    return limit, None


class Forgotten(Protocol):
    """What the processes of one gateway tell each other of cached answers that have changed."""

    def tell(self, message: bytes) -> None:
        """Whoever listens anywhere, here too, hears of it when asked next."""
        ...

    def listener(self) -> Callable[[], list[bytes | None]]:
        """Gives what was told since it was called last, or made; None among it: there was more."""
        ...


@dataclass(slots=True)
class Services:
    """What a host has put together for one configuration."""

    policy: Policy
    kv: KV
    counter: Counter
    dial: Dial
    crypto: Crypto
    secrets: Secrets
    providers: Mapping[str, Provider] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    background: Callable[[Awaitable[Any]], None] = lambda awaitable: None
    share_in_flight: bool = True
    """Whether requests may wait for one another's I/O; Cloudflare Workers forbid it."""
    observe: Callable[[Request, Context, int, Outcome, int], None] = lambda request, ctx, status, outcome, sent: None
    """Told once of every finished request: its status, how it ended, body bytes sent."""
    places: Shares = alone
    """What this process may take of the places that `concurrency` gives a model."""
    measure: Callable[[str, tuple[str, ...], float], None] = lambda name, labels, value: None
    """Told of what is counted beside requests: `COOLDOWNS` (provider, model, error_type; 1), `QUEUE_WAIT` (provider, model;
    seconds) and `LIMIT_DEGRADED` (rule; 1)."""
    approximate: ApproximateLimiter | None = None
    """Counts the limits that may be approximate; None where `counter` counts them too, exactly."""
    degraded: Callable[[], tuple[str, ...]] = lambda: ()
    """What works differently just now because something the gateway depends on fails, as `/readyz` names it."""
    resolve: Callable[[str, int], Awaitable[list[str]]] | None = None
    """The IP addresses of a host and port; None where the platform resolves by itself. Raises `ConnectFailed`."""
    tunnel: Callable[[Endpoint, str, list[Pair], Timeouts], Awaitable[Response]] | None = None
    """Asks an origin to switch protocols, as `Dial` asks; None where the host cannot."""
    assets: Any = None
    """The project's public files, a `wws.functions.static.Files`; None where there are none, or the platform serves them."""
    functions: Mapping[str, Any] = field(default_factory=dict)
    """The project's functions by name, each a `wws.functions.invoke.Function`."""
    forgotten: Forgotten | None = None
    """None where this process is the gateway's only one, or the others are not to be told."""
    state: dict[str, Any] = field(default_factory=dict)
    """Memory of the built-in functions in this process (single flights, negative caches), by function name."""


class Context:
    """What a function gets as `ctx`: one request's identity, deadline (monotonic seconds) and background work.

    Set for functions only: `params` are the values of the path's parameters; `next`, of a middleware, is what it runs around.
    """

    __slots__ = ("_background", "_data", "counted", "deadline", "next", "params", "request_id", "trail", "user")

    def __init__(self, request_id: str, deadline: float, trail: Trail, background: Callable[[Awaitable[Any]], None]) -> None:
        self.request_id = request_id
        self.deadline = deadline
        self.trail = trail
        self.user: User | None = None
        self.next: Any
        self.params: Mapping[str, str]
        self._data: dict[str, Any]
        self.counted: Any = None  # what the rate limiter took, to be given back when we fail
        self._background = background

    @property
    def data(self) -> dict[str, Any]:
        """What middlewares leave for what they run around: empty at first, one for the whole request."""
        data: dict[str, Any] | None = getattr(self, "_data", None)
        if data is None:
            data = self._data = {}
        return data

    def layer(self) -> Context:
        """This context for what a middleware runs around: all the same, with a `next` of its own."""
        inner = Context(self.request_id, self.deadline, self.trail, self._background)
        inner.user, inner.counted, inner.params, inner._data = self.user, self.counted, self.params, self.data
        return inner

    def wait_until(self, awaitable: Awaitable[Any]) -> None:
        """Runs `awaitable` to its end after the answer has been sent; its errors are logged, not raised."""
        self._background(awaitable)
