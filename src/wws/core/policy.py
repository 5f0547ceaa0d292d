"""The policy of a project: what wws.toml says, checked and in the form decisions need. Plain data, immutable, no I/O.

`wws.project` builds it from a file, an edge bundle carries it as plain data; the defaults here are the documented ones.
Durations are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = [
    "BEHIND",
    "Attempts",
    "AuthPolicy",
    "CachePolicy",
    "Condition",
    "FetchPolicy",
    "Limit",
    "ModelRef",
    "Policy",
    "Price",
    "ProviderConfig",
    "Route",
    "Rule",
    "Timeouts",
]


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate: `count` per `period`; with `burst` GCRA, without an exact sliding window. `name` is its policy name on the wire."""

    count: int
    period: float
    burst: int | None = None
    name: str = "default"
    endpoint: str = "default"
    """What the count is kept for, beside the subject: the pattern of `[limits]` or of the route."""
    approximate: bool = False
    """Whether the platform's own limiter may count, where it has one that is cheaper than an exact count."""


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """`fresh` and `stale` are ages; `mode` `obey-origin` uses neither.

    `per` names the partition; None: nothing of a verified user is cached.
    """

    mode: Literal["off", "obey-origin", "fixed"] = "off"
    fresh: float = 60.0
    stale: float = 300.0
    per: Literal["public", "user"] | None = None


OFF: Final = CachePolicy()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The timers of one upstream, in seconds."""

    connect: float = 2.0
    first_byte: float = 10.0
    first_token: float = 10.0
    idle: float = 30.0
    total: float = 300.0
    gather: float = 0.0
    """No setting: how long a host to which each piece of an answer is dear may wait for others, to give them as one."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """The budget of upstream calls for one request."""

    max: int = 3
    assemble: bool = True
    breaker: bool = True
    """Whether a route that keeps failing is left alone for a while."""
    retry_percent: int = 10
    """How many of one provider's requests may be second tries."""
    retry_floor: int = 3
    """Second tries at one provider in 10 seconds that there may be in any case."""
    commit_after: float | None = 30.0
    """Seconds without a token until a stream's head is sent, with comments behind it; None: never before the first token."""
    hedge_after: float | None = None
    """Seconds without a token until the next route is asked as well; None: never."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model at a provider: written `provider/model`."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Condition:
    """When a rule applies: every part that is not None must hold; an empty condition always does."""

    type: tuple[str, ...] | None = None
    complexity: tuple[str, ...] | None = None
    context_length_over: int | None = None
    context_length_under: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One of `[[rules]]`: `use` names an alias of `[models]`."""

    use: str
    reason: str
    when: Condition = Condition()


@dataclass(frozen=True, slots=True)
class Price:
    """Of one model, in USD per million tokens. `cached` None: cached tokens cost as much as others that go in."""

    tokens_in: float
    tokens_out: float
    cached: float | None = None


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """One of `[providers]`. The key is a secret: it is kept out of every `repr`."""

    name: str
    kind: str
    base_url: str | None = None
    anthropic_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeouts: Timeouts = Timeouts()
    concurrency: int | None = None
    """Requests at a time per model; None: as the kind has it, see `packs`."""
    packs: int = 1
    """Of synthetic.new, which takes one request at a time per model and subscription pack."""
    queue: int = 16
    """How many may wait for one of those places, per model."""
    prices: dict[str, Price] = field(default_factory=dict)
    """By model, where they are not the catalogue's."""


@dataclass(frozen=True, slots=True)
class AuthPolicy:
    """`supabase_url` None: no sessions, API keys only."""

    supabase_url: str | None = None
    supabase_key: str | None = field(default=None, repr=False)
    session_ttl: float = 3600.0
    recheck_after: float = 300.0
    issuer: str | None = None
    audience: str = "authenticated"
    leeway: float = 30.0


@dataclass(frozen=True, slots=True)
class Route:
    """One of `[[routes]]`. `to` is the kind, `target` the name of the origin or function (None: the only one)."""

    path: str
    to: Literal["ai", "origin", "function", "static"]
    target: str | None = None
    methods: tuple[str, ...] | None = None
    auth: Literal["required", "optional", "none"] = "optional"
    limit: Limit | None = None
    """The route's own limit; the `[limits]` of the path apply where this is None and `unlimited` is not set."""
    unlimited: bool = False
    cache: CachePolicy = OFF
    timeout: float | None = None
    mode: Literal["stream", "buffer"] = "stream"
    """Of `ai` routes: streams are sent as they come, or when they are whole: until then another model can step in."""
    scopes: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    fresh_auth: float | None = None
    """The greatest age in seconds of the last online check of the session that this route accepts."""
    cors: tuple[str, ...] = ()
    """Origins whose pages may read answers: `https://app.example`, `https://*.app.example` or `*`."""
    max_in_flight: int | None = None
    """Requests in progress on this route in one process; None: no limit of its own."""
    aliases: tuple[str, ...] = ()
    """Further paths of the same route: one policy, one count."""
    fallback: Literal["origin"] | None = None
    """Of a `static` route: who answers where there is no file, as the default route to it says (`BEHIND`)."""


DEFAULT_ROUTES: Final = (
    Route("/api/ai/*", "ai", auth="required"),
    Route("/v1/*", "ai", auth="required"),
    Route("/*", "origin", auth="optional", cache=CachePolicy("obey-origin")),
)

BEHIND: Final = DEFAULT_ROUTES[-1]

DEFAULT_MODELS: Final[dict[str, tuple[ModelRef, ...]]] = {
    "code": (ModelRef("synthetic", "hf:deepseek-ai/DeepSeek-V3"), ModelRef("zai", "glm-4-flash")),
    "reasoning": (ModelRef("synthetic", "hf:moonshotai/Kimi-K2-Thinking"), ModelRef("zai", "glm-4-plus")),
    "long_context": (ModelRef("zai", "glm-4-long"),),
}

DEFAULT_RULES: Final = (
    Rule("long_context", "Context exceeds 128K, using GLM-4-Long", Condition(context_length_over=128_000)),
    Rule("code", "Standard code task", Condition(type=("code", "implementation", "debugging"))),
    Rule("reasoning", "Standard reasoning task"),
)

DEFAULT_LIMITS: Final[dict[str, Limit]] = {
    "/api/ai/chat": Limit(60, 60.0, name="chat", endpoint="/api/ai/chat"),
    "/api/ai/generate": Limit(20, 60.0, name="generate", endpoint="/api/ai/generate"),
    "default": Limit(100, 60.0),
}


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """What `env.fetch` of functions may do: names, addresses and networks it may reach beside the public internet, the largest
    body in bytes it reads whole, seconds for an answer."""

    allow: tuple[str, ...] = ()
    limit: int = 10 * 1024 * 1024
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the gateway decides by. `version` is a hash of the configuration it was built from."""

    name: str = "wws"
    version: str = "0"
    auth: AuthPolicy = AuthPolicy()
    limits: dict[str, Limit] = field(default_factory=lambda: dict(DEFAULT_LIMITS))
    """By path pattern, and `default`. `address` is the pre-authentication limit per client address."""
    address_limit: Limit | None = Limit(600, 60.0, name="address", endpoint="address")
    cache: CachePolicy = CachePolicy("fixed")
    providers: dict[str, ProviderConfig] = field(default_factory=dict)
    timeouts: Timeouts = Timeouts()
    model_timeouts: dict[str, Timeouts] = field(default_factory=dict)
    """Keyed `provider/model`; the provider's own timeouts stand in its `ProviderConfig`."""
    attempts: Attempts = Attempts()
    models: dict[str, tuple[ModelRef, ...]] = field(default_factory=lambda: dict(DEFAULT_MODELS))
    rules: tuple[Rule, ...] = DEFAULT_RULES
    origins: dict[str, str] = field(default_factory=dict)
    """Name to base URL; `[origin]` is the one named `default`."""
    origin_timeouts: Timeouts = Timeouts(first_byte=60.0, idle=60.0)
    routes: tuple[Route, ...] = DEFAULT_ROUTES
    json_limit: int = 32 * 1024 * 1024
    """Largest JSON body of an `ai` route in bytes: long prompts, base64 images."""
    json_depth: int = 64
    function_limit: int = 1024 * 1024
    """Largest body in bytes that a function reads."""
    function_timeout: float = 30.0
    """Seconds one run of a function may take, where its route does not say."""
    local_share: float = 1.0
    """The part of each limit that this process admits by itself while the store fails: one by all processes that share it."""
    fetch: FetchPolicy = FetchPolicy()
    max_in_flight: int = 4096
    """Requests in progress in one process before the gateway sheds with 503 (Envoy's default is 1024 per cluster)."""
