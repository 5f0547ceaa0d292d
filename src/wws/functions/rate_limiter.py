"""rate_limiter: may this subject ask this endpoint, now?

    1. which limit    the route's own, else the most specific pattern of [limits] for the path, else its default
    2. whose count    the verified user, else the client's address, for the endpoint that the limit was found for
    3. counted?       one `take` of the Counter; not even that while the same key is known to be refused

A route's limit, and the default, are counted for each route apart: "per user and endpoint".

When the store fails, this process counts alone, against its share of the limit (`Policy.local_share`), and the result says
`degraded`. Never is a request let through uncounted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from wws.bindings import LIMIT_DEGRADED, Clock, Counter, Env
from wws.core.limit import subject
from wws.core.limit.counts import Counts
from wws.core.limit.decision import Decision
from wws.core.policy import Limit, Policy, Route
from wws.core.route.table import Table
from wws.core.text import record
from wws.errors import StoreError
from wws.http import Request

__all__ = ["LimitResult", "address_limiter", "blocked", "counted", "give_back", "rate_limiter"]

_STATE: Final = "rate_limiter"
_LOCAL_KEYS: Final = 100_000
_BLOCKED_KEYS: Final = 10_000
_KEYS: Final = 4096
_ROUTES: Final = 1024
"""Routes a resolver remembers its answer for; a policy has far fewer."""
_ADDRESS: Final = "address"
"""The endpoint of the address's own limit; those of routes begin with `/` or a method."""
_CLOCK_GRAIN: Final = 1e-6
"""Seconds of a refusal that are not worth insisting on: sums of clock readings are rounded."""
_NOT_PATTERNS: Final = ("default", "address")


class LimitResult(NamedTuple):
    """`remaining` is None where nothing limits; `retry_after` seconds on a refusal, else 0.0.

    `decision` is None when nothing limits, the store failed or the count is approximate: there is no count then that could be
    told. `key` and `taken_at` (wall seconds) are for `give_back`.
    """

    allowed: bool
    remaining: int | None
    retry_after: float
    rule: Limit | None
    decision: Decision | None
    degraded: tuple[str, ...] = ()
    key: str = ""
    taken_at: float = 0.0


UNLIMITED: Final = LimitResult(True, None, 0.0, None, None)
_DEGRADED: Final = ("limit",)
_record: Final = record


class _Resolver:
    """Which limit a request is counted against: everything a policy says, looked up once per route."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.default = policy.limits.get("default")
        patterns = {pattern: limit for pattern, limit in policy.limits.items() if pattern not in _NOT_PATTERNS}
        self.table: Table[Limit] | None = None
        if patterns:
            self.table = Table([(pattern, None, replace(limit, endpoint=pattern)) for pattern, limit in patterns.items()])
        self.routes: dict[int, tuple[Route, bool, Limit | None]] = {}  # by id: hashing a Route hashes all its fields

    def rule(self, request: Request) -> Limit | None:
        """The limit, with the endpoint its count is kept for; None: not limited."""
        route = request.route
        if route is None:
            fallback = self.default
        else:
            known = self.routes.get(id(route))
            if known is None or known[0] is not route:
                known = self._learn(route)
            _, settled, fallback = known
            if settled:
                return fallback
        if self.table is not None:
            found = self.table.match("", request.path).value
            if found is not None:
                return found
        return fallback

    def _learn(self, route: Route) -> tuple[Route, bool, Limit | None]:
        """The route, whether it says all itself, and its own limit or the default one."""
        limit = None if route.unlimited else route.limit or self.default
        if limit is not None:
            methods = "" if route.methods is None else ",".join(route.methods) + " "
            limit = replace(limit, endpoint=methods + route.path)
        entry = (route, route.unlimited or route.limit is not None, limit)
        if len(self.routes) >= _ROUTES:
            self.routes.clear()
        self.routes[id(route)] = entry
        return entry


class _Memory:
    """What this process remembers: how the policy reads, who is refused until when, and counts for when the store is gone."""

    __slots__ = ("addresses", "blocked", "keys", "local", "monotonic", "resolver", "take_now", "time")

    def __init__(self, policy: Policy, counter: Counter, clock: Clock) -> None:
        self.resolver = _Resolver(policy)
        self.keys: dict[str, dict[str, str]] = {}  # by endpoint and user
        self.addresses: dict[str, dict[str, str]] = {}  # by endpoint and address
        self.take_now: Callable[[str, int, float, int, float, int | None], Decision] | None
        self.take_now = getattr(counter, "take_now", None)
        self.time: Callable[[], float] = clock.time
        self.monotonic: Callable[[], float] = clock.monotonic
        self.blocked: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key -> monotonic end of refusal, of the limit
        self.local = Counts(_LOCAL_KEYS)

    def key(self, user: str, endpoint: str) -> str:
        """The store's key of a user's count."""
        keys = self.keys.get(endpoint)
        if keys is None:
            keys = self.keys[endpoint] = {}
        known = keys.get(user)
        if known is None:
            if len(keys) >= _KEYS:
                keys.clear()
            known = keys[user] = f"v1:rate:{subject.user(user)}:{endpoint}"
        return known

    def address_key(self, address: str, endpoint: str) -> str:
        """The same of a client's address."""
        keys = self.addresses.get(endpoint)
        if keys is None:
            keys = self.addresses[endpoint] = {}
        known = keys.get(address)
        if known is None:
            if len(keys) >= _KEYS:
                keys.clear()
            known = keys[address] = f"v1:rate:{subject.address(address)}:{endpoint}"
        return known

    def refused(self, key: str, rule: Limit, now: float) -> LimitResult | None:
        """The refusal that is known already."""
        until = self.blocked.get(key)
        if until is None:
            return None
        wait = until[0] - now
        if wait <= _CLOCK_GRAIN:
            del self.blocked[key]
            return None
        decision = _record(Decision, False, 0, wait, until[1] - now)
        return _record(LimitResult, False, 0, wait, rule, decision, (), key, 0.0)

    def block(self, key: str, decision: Decision, now: float) -> None:
        """Remembers a refusal; the oldest is forgotten when there are too many."""
        if len(self.blocked) >= _BLOCKED_KEYS:
            self.blocked.popitem(last=False)
        self.blocked[key] = (now + decision.retry_after, now + decision.reset_after)


def _memory(env: Env) -> _Memory:
    services = env.wws
    memory: _Memory | None = services.state.get(_STATE)
    if memory is None:
        memory = services.state[_STATE] = _Memory(services.policy, services.counter, services.clock)
    elif memory.resolver.policy is not services.policy:
        memory.resolver = _Resolver(services.policy)
        memory.blocked.clear()  # by limits that are gone
    return memory


def _key(memory: _Memory, request: Request, endpoint: str) -> str:
    user = request.user
    return memory.address_key(request.client, endpoint) if user is None else memory.key(user.id, endpoint)


def counted(request: Request, env: Env) -> LimitResult | None:
    """The result of `rate_limiter` where the counter answers at once; None where it must be waited for."""
    memory = _memory(env)
    take_now = memory.take_now
    if take_now is None:
        return None
    rule = memory.resolver.rule(request)
    if rule is None:
        return UNLIMITED
    key = _key(memory, request, rule.endpoint)
    if memory.blocked:
        known = memory.refused(key, rule, memory.monotonic())
        if known is not None:
            return known
    now = memory.time()
    try:
        decision = take_now(key, rule.count, rule.period, 1, now, rule.burst)
    except StoreError:
        return _locally(env, memory, key, rule, 1, now)
    allowed, remaining, wait, _ = decision
    if not allowed:
        memory.block(key, decision, memory.monotonic())
    return _record(LimitResult, allowed, remaining, wait, rule, decision, (), key, now)


def _locally(env: Env, memory: _Memory, key: str, rule: Limit, cost: int, now: float) -> LimitResult:
    env.wws.measure(LIMIT_DEGRADED, (rule.name,), 1.0)
    count, burst = _share(rule, env.wws.policy.local_share)
    local = memory.local.take(key, count, rule.period, min(cost, count if burst is None else burst), now, burst)
    return LimitResult(local.allowed, local.remaining, local.retry_after, rule, None, _DEGRADED, key, now)


def _share(rule: Limit, share: float) -> tuple[int, int | None]:
    """The count and the burst of a limit that one process may admit alone."""
    burst = rule.burst
    return max(1, int(rule.count * share)), None if burst is None else max(1, int(burst * share))


async def rate_limiter(request: Request, env: Env) -> LimitResult:
    """Counts the request against its limit, or refuses it: L1 to L4 hold whatever is sent.

    Never raises `StoreError`: see the module.
    """
    memory = _memory(env)
    rule = memory.resolver.rule(request)
    if rule is None:
        return UNLIMITED
    return await _take(env, memory, _key(memory, request, rule.endpoint), rule, 1)


async def address_limiter(request: Request, env: Env, cost: int = 1) -> LimitResult:
    """Counts `cost` for the client's address, before anything is known of who asks; more than one for a failed login, say."""
    rule = env.wws.policy.address_limit
    if rule is None:
        return UNLIMITED
    most = rule.count if rule.burst is None else rule.burst
    memory = _memory(env)
    return await _take(env, memory, memory.address_key(request.client, _ADDRESS), rule, min(cost, most))


def blocked(request: Request, env: Env) -> LimitResult | None:
    """The refusal that this process knows of already: for the address, and for the user once there is one.

    Asks no store and counts nothing. It can only refuse: None says nothing about what a count would come to. Before the user is
    known only the address's own limit counts, for behind one address there may be callers of all kinds.
    """
    memory = _memory(env)
    if not memory.blocked:
        return None
    now = memory.monotonic()
    rule = memory.resolver.policy.address_limit
    if rule is not None:
        known = memory.refused(memory.address_key(request.client, _ADDRESS), rule, now)
        if known is not None:
            return known
    if request.user is None:
        return None
    rule = memory.resolver.rule(request)
    return None if rule is None else memory.refused(_key(memory, request, rule.endpoint), rule, now)


async def give_back(result: LimitResult, env: Env) -> None:
    """Gives back what an admitted request was counted, when the failure was ours. A store that fails keeps the count."""
    rule = result.rule
    if rule is None or not result.allowed:
        return
    memory = _memory(env)
    memory.blocked.pop(result.key, None)
    if rule.approximate and env.wws.approximate is not None and not result.degraded:
        return  # it takes nothing back
    if result.degraded:
        count, burst = _share(rule, env.wws.policy.local_share)
        memory.local.give(result.key, count, rule.period, 1, result.taken_at, burst)
        return
    try:
        await env.wws.counter.give(result.key, rule.count, rule.period, 1, result.taken_at, burst=rule.burst)
    except StoreError:
        return


async def _take(env: Env, memory: _Memory, key: str, rule: Limit, cost: int) -> LimitResult:
    services = env.wws
    if memory.blocked:
        known = memory.refused(key, rule, services.clock.monotonic())
        if known is not None:
            return known
    now = services.clock.time()
    try:
        if rule.approximate and services.approximate is not None:
            allowed = await services.approximate.allow(key, rule.count, rule.period)
            return LimitResult(allowed, None, 0.0 if allowed else rule.period, rule, None, (), key, now)
        decision = await services.counter.take(key, rule.count, rule.period, cost, burst=rule.burst)
    except StoreError:
        return _locally(env, memory, key, rule, cost, now)
    if not decision.allowed and cost == 1:
        memory.block(key, decision, services.clock.monotonic())
    return LimitResult(decision.allowed, decision.remaining, decision.retry_after, rule, decision, (), key, now)
