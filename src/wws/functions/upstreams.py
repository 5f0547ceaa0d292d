"""What this process knows of the routes to AI providers: who fails, who is full, who may be asked again.

A route is one model at one provider. What is decided about it is in `core.resilience`; here it is kept, one for each route
that has been used, and fed with what happened.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from wws.bindings import COOLDOWNS, QUEUE_WAIT, Env, Provider, Shares, alone
from wws.core.policy import ModelRef, Policy, ProviderConfig, Timeouts
from wws.core.resilience import quota
from wws.core.resilience.backoff import RetryBudget
from wws.core.resilience.breaker import CLOSED, Breaker
from wws.core.resilience.gate import Gate

__all__ = ["GATHER", "QUOTAS", "Upstream", "Upstreams", "timeouts_of", "upstreams_of"]

MAX_ROUTES = 2048
"""Routes that are remembered. Callers may name models freely, so the number must have an end."""
GATHER = 0.005
"""Seconds: by so much the first token of an answer that is put together may be taken for later than it came."""
_STATE = "upstreams"
QUOTAS: Final = b"x-synthetic-quotas"
"""The header field that tells what is left of the quotas."""
_QUOTA = "provider_quota"
_PER_PACK = "synthetic"  # the kind that takes one request at a time per model and pack

_log = logging.getLogger("wws.upstreams")

Measure = Callable[[str, tuple[str, ...], float], None]


def _unmeasured(name: str, labels: tuple[str, ...], value: float) -> None:
    """Nobody wants to know."""


class Account:
    """What the routes to one provider share: its key's quota, and how many second tries it gets."""

    __slots__ = ("budget", "name", "quota")

    def __init__(self, name: str, policy: Policy) -> None:
        self.name = name
        self.budget = RetryBudget(policy.attempts.retry_percent / 100, policy.attempts.retry_floor)
        self.quota = Breaker()


class Upstream:
    """One route. `gate` None: no limit of requests at a time. `plain_only`: it has refused to stream. `unseen` are the timeouts
    of a stream whose single events nobody sees.

    Who was let in by `admits` tells how it ended: `succeeded`, `failed` or `released`, once.
    """

    __slots__ = ("_guarded", "_measure", "account", "breaker", "gate", "plain_only", "provider", "ref", "timeouts", "unseen")

    def __init__(
        self,
        ref: ModelRef,
        provider: Provider,
        account: Account,
        policy: Policy,
        measure: Measure = _unmeasured,
        places: Shares = alone,
    ) -> None:
        self.ref = ref
        self.provider = provider
        self.account = account
        self.timeouts = timeouts_of(ref, policy)
        self.unseen = replace(self.timeouts, gather=GATHER)
        self.breaker = Breaker()
        self.gate = _gate(ref, policy.providers.get(ref.provider), places)
        self.plain_only = False
        self._guarded = policy.attempts.breaker
        self._measure = measure

    @property
    def healthy(self) -> bool:
        """Whether everybody is let in."""
        return self.breaker.state == CLOSED and self.account.quota.state == CLOSED

    def admits(self, now: float, *, forced: bool = False) -> bool:
        """Whether to ask it now; see `Breaker.allows`."""
        if self.healthy:
            return True
        breaker, shared = self.breaker, self.account.quota
        if not breaker.allows(now, forced=forced):
            return False
        if not shared.allows(now, forced=forced):
            breaker.released(now)
            return False
        return True

    @property
    def until(self) -> float:
        """When it may be asked again, monotonic seconds."""
        return max(self.breaker.until, self.account.quota.until)

    @property
    def state(self) -> int:
        """As a breaker's: the worse of the route's own and the account's."""
        return max(self.breaker.state, self.account.quota.state)

    @property
    def cause(self) -> str | None:
        """Why it may not be asked now: an `error_type`."""
        return self.account.quota.cause or self.breaker.cause

    def succeeded(self, now: float) -> None:
        """It has answered."""
        if self.account.quota.state != CLOSED:
            self.account.quota.succeeded(now)
        if self.breaker.succeeded(now):
            _log.info("%s answers again", self.ref)

    def committed(self, now: float) -> None:
        """It has begun to answer in a stream. How that ends is told later, but a probe that has come so far was a good one."""
        if not self.healthy:
            self.succeeded(now)

    def failed(self, now: float, error_type: str, retry_after: float | None, jitter: float) -> None:
        """It has failed; see `Breaker.failed`. A quota is the account's, so all its routes are closed."""
        if not self._guarded:
            return
        shared = self.account.quota
        if error_type == _QUOTA:
            self.breaker.released(now)
            if shared.failed(now, error_type, retry_after, jitter):
                self._cools(error_type)
                _log.warning("the quota of %s is used up: left alone for %.0f s", self.account.name, shared.until - now)
            return
        shared.released(now)
        if self.breaker.failed(now, error_type, retry_after, jitter):
            self._cools(error_type)
            _log.warning("%s fails (%s): left alone for %.0f s", self.ref, error_type, self.breaker.until - now)

    def released(self, now: float) -> None:
        """Whatever happened says nothing about it."""
        self.breaker.released(now)
        self.account.quota.released(now)

    def learn(self, headers: Mapping[bytes, bytes], now: float, wall: float) -> None:
        """Reads what the answer's header fields say of the quota. `wall` is the same moment as `now` on the wall."""
        header = headers.get(QUOTAS)
        if header is None or not self._guarded:
            return
        known = quota.parse(header)
        wait = quota.wait(known, wall) if known is not None else None
        if wait and self.account.quota.shut(now + wait, _QUOTA):
            self._cools(_QUOTA)
            _log.warning("the quota of %s is used up: left alone for %.0f s", self.account.name, wait)

    def waited(self, seconds: float) -> None:
        """Somebody was in line for a place so long."""
        self._measure(QUEUE_WAIT, (self.ref.provider, self.ref.model), seconds)

    def _cools(self, error_type: str) -> None:
        self._measure(COOLDOWNS, (self.ref.provider, self.ref.model, error_type), 1.0)


class Upstreams:
    """All routes of one process, made when they are first used."""

    __slots__ = ("_accounts", "_measure", "_places", "_policy", "_providers", "_routes", "count")

    def __init__(
        self, policy: Policy, providers: Mapping[str, Provider], measure: Measure = _unmeasured, places: Shares = alone
    ) -> None:
        self._policy = policy
        self._places = places
        self._measure = measure
        self._providers = providers
        self._routes: dict[str, dict[str, Upstream]] = {}
        self._accounts: dict[str, Account] = {}
        self.count = 0

    def of(self, ref: ModelRef) -> Upstream:
        """The route to a model."""
        models = self._routes.get(ref.provider)
        if models is not None:
            known = models.get(ref.model)
            if known is not None:
                return known
        return self._make(ref)

    def _make(self, ref: ModelRef) -> Upstream:
        if self.count >= MAX_ROUTES:
            self._forget()
        account = self._accounts.get(ref.provider)
        if account is None:
            account = self._accounts[ref.provider] = Account(ref.provider, self._policy)
        made = Upstream(ref, self._providers[ref.provider], account, self._policy, self._measure, self._places)
        self._routes.setdefault(ref.provider, {})[ref.model] = made
        self.count += 1
        return made

    def inherit(self, before: Upstreams) -> None:
        """Goes on with what `before` knew of the routes to providers whose configuration is the same.

        Requests that `before` let in tell the same breakers and gates how they ended, and hold the same places.
        """
        attempts_are_same = self._policy.attempts == before._policy.attempts
        for name, models in before._routes.items():
            if name not in self._providers or self._policy.providers.get(name) != before._policy.providers.get(name):
                continue
            for model, known in models.items():
                made = self.of(ModelRef(name, model))
                made.breaker, made.gate, made.plain_only = known.breaker, known.gate, known.plain_only
                made.account.quota = known.account.quota
                if attempts_are_same:
                    made.account.budget = known.account.budget

    def _forget(self) -> None:
        """Drops the routes of which there is nothing to remember."""
        for models in self._routes.values():
            for model, route in list(models.items()):
                if route.breaker.state == CLOSED and (route.gate is None or not route.gate.in_use):
                    del models[model]
        self.count = sum(len(models) for models in self._routes.values())

    def __iter__(self) -> Iterator[Upstream]:
        for models in list(self._routes.values()):
            yield from list(models.values())


def upstreams_of(env: Env) -> Upstreams:
    """The routes of this host; made once."""
    known: Upstreams | None = env.wws.state.get(_STATE)
    if known is None:
        known = env.wws.state[_STATE] = Upstreams(env.wws.policy, env.wws.providers, env.wws.measure, env.wws.places)
    return known


def timeouts_of(ref: ModelRef, policy: Policy) -> Timeouts:
    """The timers for one model: its own, its provider's, or the project's."""
    if policy.model_timeouts:
        own = policy.model_timeouts.get(str(ref))
        if own is not None:
            return own
    provider = policy.providers.get(ref.provider)
    return policy.timeouts if provider is None else provider.timeouts


def _gate(ref: ModelRef, config: ProviderConfig | None, places: Shares) -> Gate | None:
    if config is None:
        return None
    limit = config.concurrency
    if limit is None and config.kind == _PER_PACK:
        limit = config.packs
    if limit is None:
        return None
    most, shared = places(ref.provider, ref.model, limit)
    return Gate(most, config.queue, shared)
