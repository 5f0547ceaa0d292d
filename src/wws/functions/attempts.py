"""The attempts of one request: one budget, one deadline, over the candidates in order, as the matrix says.

admitted   a route whose breaker lets requests pass, or the one probe of one that does not
a place    in the route's gate, or in line for it, or the next route
attempt    one upstream call
then       the answer, the same route once more, the next route, or the caller gets the error
"""

from __future__ import annotations

import asyncio
from functools import partial
from math import inf
from typing import Final, NamedTuple

from wws.bindings import Clock, Context, Env
from wws.core.policy import ModelRef, Policy, Route
from wws.core.resilience.backoff import delay
from wws.core.resilience.gate import ADMITTED, PATIENCE, Gate
from wws.core.resilience.matrix import PATIENCE as SHORT
from wws.core.resilience.matrix import TABLE, Action, decide
from wws.core.route import catalogue
from wws.core.route.choose import Choice
from wws.core.trail import Attempt
from wws.core.wire import chat
from wws.errors import Refusal
from wws.functions.attempt import ASSEMBLED, attempt
from wws.functions.early import early
from wws.functions.failure import Failure
from wws.functions.hedge import hedged
from wws.functions.upstreams import Upstream, Upstreams, upstreams_of
from wws.http import Request, Response

__all__ = ["Asked", "attempts"]

_LOOK: Final = 0.02  # seconds between two looks at places that other processes hold
_new: Final = tuple.__new__  # the constructor of a NamedTuple costs three times as much, and this runs for every request


class Asked(NamedTuple):
    """What the caller wants, read and routed."""

    call: chat.Chat
    choice: Choice


async def attempts(asked: Asked, request: Request, env: Env, ctx: Context, route: Route) -> Response:
    """The answer of the first candidate that has one. Raises `Refusal`."""
    operation = asked.call.operation
    providers = env.wws.providers
    candidates = asked.choice.candidates
    for ref in candidates:
        if operation not in providers[ref.provider].operations:
            candidates = tuple([ref for ref in candidates if operation in providers[ref.provider].operations])
            break
    if not candidates:
        raise Refusal("unsupported_endpoint", param="model", retry=False)
    work = _Attempts(asked, candidates, request, env, ctx, route.mode == "buffer")
    after = env.wws.policy.attempts.commit_after
    if asked.call.stream and after is not None and work.patience() > after:
        return await early(work.run(), after, "anthropic" if operation == "messages" else "openai", env, ctx)
    return await work.run()


class _Attempts:
    """One request's. `at` is the place of the candidate, `made` the number of upstream calls, `retries` of them the second
    tries at this candidate; `failure` and `action` are the last call's."""

    __slots__ = (
        "action", "at", "budget", "call", "candidates", "clock", "ctx", "env", "failure", "hedge_after", "jitter", "made",
        "named", "request", "retries", "routes", "whole",
    )  # fmt: skip

    def __init__(
        self, asked: Asked, candidates: tuple[ModelRef, ...], request: Request, env: Env, ctx: Context, whole: bool
    ) -> None:
        self.call = asked.call
        self.named = asked.choice.alias is None
        self.candidates = candidates
        self.request = request
        self.env = env
        self.ctx = ctx
        self.whole = whole
        self.clock = env.wws.clock.monotonic
        self.routes = upstreams_of(env)
        policy = env.wws.policy.attempts
        self.budget = max(1, policy.max)
        after = policy.hedge_after
        self.hedge_after = after if after is not None and self._tells_first_token(policy.assemble) else None
        # Requests differ in their ids, and the seed of `hash` is this process's own: enough to part those who fail together.
        self.jitter = (hash(ctx.request_id) & 0xFFFF) / 65536.0
        self.at = self.made = self.retries = 0
        self.failure: Failure | None = None
        self.action: Action | None = None

    async def run(self) -> Response:
        """Tries until one answers, none is left, or the budget is spent."""
        while self.made < self.budget:
            upstream: Upstream | None = self.routes.of(self.candidates[self.at])
            if upstream is None or not upstream.admits(self.clock()):
                upstream = await self._admitted()
            if upstream is None:
                break
            gate = upstream.gate
            if gate is not None and not gate.enter() and not await _place(gate, upstream, self._others, self.env, self.ctx):
                upstream.released(self.clock())
                if not self._spill(gate):
                    break
                continue
            if self.hedge_after is None:
                result = await self._make(upstream, self.ctx)
            else:
                result, upstream = await hedged(self._make, upstream, self._hedge, self.hedge_after, self.env, self.ctx)
            if isinstance(result, Response):
                return result
            if not await self._goes_on(upstream, result):
                break
        raise self._refusal()

    def patience(self) -> float:
        """Seconds that a stream's first token may take, as far as timers say; the deadline's where there is a line to wait in."""
        if self.whole:
            return inf
        longest = 0.0
        for ref in self.candidates:
            upstream = self.routes.of(ref)
            longest = max(longest, upstream.timeouts.first_byte, upstream.timeouts.first_token)
        gate = upstream.gate
        return inf if gate is not None and gate.in_use >= gate.limit else longest * self.budget

    def _tells_first_token(self, assemble: bool) -> bool:
        """Whether it can be seen that an answer has begun."""
        return not self.whole and (self.call.stream or (assemble and self.call.operation in ASSEMBLED))

    def _hedge(self) -> Upstream | None:
        """The next candidate that may be asked beside this one, at once; its place is taken."""
        now = self.clock()
        if self.made >= self.budget or not self.routes.of(self.candidates[self.at]).account.budget.allows(now):
            return None
        for place in range(self.at + 1, len(self.candidates)):
            upstream = self.routes.of(self.candidates[place])
            if not upstream.admits(now):
                continue
            if upstream.gate is None or upstream.gate.enter():
                self.at, self.retries = place, 0
                return upstream
            upstream.released(now)
        return None

    @property
    def _others(self) -> bool:
        """Whether there is a candidate after this one."""
        return self.at + 1 < len(self.candidates)

    async def _admitted(self) -> Upstream | None:
        """The route to ask: this candidate's, or the next one's whose breaker lets us. None: the failure so far is the answer."""
        upstream = self.routes.of(self.candidates[self.at])
        now = self.clock()
        if upstream.admits(now):
            return upstream
        wider = self.at if self.action is not None and self.action.wider else None
        place = _open(self.candidates, self.at + 1, self.routes, now, self.env.wws.policy, wider)
        if place is not None:
            self.at, self.retries = place, 0
            return self.routes.of(self.candidates[place])
        if self.failure is not None:
            return None
        upstream = await _closed(self.candidates, self.routes, self.env, self.ctx)
        self.at = self.candidates.index(upstream.ref)
        return upstream

    def _spill(self, gate: Gate) -> bool:
        """Goes on to the next candidate when there was no place at this one. Raises `Refusal` when nobody could be asked."""
        if self._others:
            self.at, self.retries = self.at + 1, 0
            return True
        if self.failure is None:
            raise Refusal("concurrency_limit", retry_after=max(1.0, gate.expected_wait()), retry=False)
        return False

    async def _make(self, upstream: Upstream, ctx: Context) -> Response | Failure:
        """One call, and what it means for its route. A stream has the place in the gate until it ends."""
        trail, ref = ctx.trail, upstream.ref
        self.made += 1
        started = self.clock()
        upstream.account.budget.request(started)
        last = self.made == self.budget or not self._others
        try:
            result = await attempt(
                self.call, upstream, self.request, self.env, ctx, whole=self.whole, last=last, jitter=self.jitter
            )
        except BaseException:
            # The caller has gone, or sent what cannot be sent on: neither is the provider's fault.
            now = self.clock()
            upstream.released(now)
            if upstream.gate is not None:
                upstream.gate.leave(now, now - started)
            raise
        now = self.clock()
        spent = now - started
        trail.upstream = (trail.upstream or 0.0) + spent
        if not isinstance(result, Response):
            upstream.failed(now, result.error_type, result.retry_after, self.jitter)
            trail.attempts.append(Attempt(ref.provider, ref.model, result.error_type, spent))
        else:
            trail.attempts.append(_new(Attempt, (ref.provider, ref.model, "ok", spent)))
            trail.provider = upstream.provider.name
            trail.model = trail.model or ref.model
            if not isinstance(result.body, bytes):
                return result
            upstream.succeeded(now)
        if upstream.gate is not None:
            upstream.gate.leave(now, spent)
        return result

    async def _goes_on(self, upstream: Upstream, failure: Failure) -> bool:
        """Whether there is another attempt to make, after a wait where it goes to the same route."""
        self.failure = failure
        now = self.clock()
        left = self.ctx.deadline - now
        retry_after = failure.retry_after
        action = self.action = decide(
            failure.outcome, failure.code, retried=self.retries > 0, named=self.named, retry_after=retry_after, left=left
        )
        if action.retry_same and self.made < self.budget:
            pause = delay(self.retries, self.jitter, retry_after)
            if pause < left and upstream.account.budget.allows(now):
                self.retries += 1
                await self.env.wws.clock.sleep(pause)
                return True
        following = _next(self.candidates, self.at, action, self.env.wws.policy)
        if following is None:
            return False
        self.at, self.retries = following, 0
        return True

    def _refusal(self) -> Refusal:
        failure, action = self.failure, self.action
        if failure is None or action is None:
            return Refusal("internal_error")
        self.ctx.trail.error_type = failure.error_type
        caller = failure.error_type.startswith("caller_")
        return Refusal(
            action.public_code,
            failure.detail,
            param=failure.param,
            retry_after=failure.retry_after,
            # Our own attempts are spent: the SDK's would multiply them.
            retry=None if caller else False,
        )


def _next(candidates: tuple[ModelRef, ...], at: int, action: Action, policy: Policy) -> int | None:
    """The place of the next candidate, or None. An input that was too long goes to a larger window only."""
    if not action.fail_over:
        return None
    for place in range(at + 1, len(candidates)):
        if not action.wider or _larger(candidates[place], candidates[at], policy):
            return place
    return None


def _larger(ref: ModelRef, than: ModelRef, policy: Policy) -> bool:
    window, other = _window(ref, policy), _window(than, policy)
    return window is not None and (other is None or window > other)


def _window(ref: ModelRef, policy: Policy) -> int | None:
    provider = policy.providers.get(ref.provider)
    known = catalogue.entry(provider.kind if provider is not None else ref.provider, ref.model)
    return None if known is None else known.context


def _open(
    candidates: tuple[ModelRef, ...], start: int, routes: Upstreams, now: float, policy: Policy, wider: int | None
) -> int | None:
    """The place of the first candidate from `start` on that may be asked. `wider`: the place whose window was too small."""
    for place in range(start, len(candidates)):
        if wider is not None and not _larger(candidates[place], candidates[wider], policy):
            continue
        if routes.of(candidates[place]).admits(now):
            return place
    return None


async def _closed(candidates: tuple[ModelRef, ...], routes: Upstreams, env: Env, ctx: Context) -> Upstream:
    """Every candidate's breaker is open. One probe goes through where that may do some good; else a short wait, or a refusal
    that says when to come back."""
    clock = env.wws.clock
    now = clock.monotonic()
    known = [routes.of(ref) for ref in candidates]
    for upstream in known:
        if upstream.admits(now, forced=True):
            return upstream
    soonest = min(known, key=lambda upstream: upstream.until)
    wait = soonest.until - now
    if 0.0 < wait <= SHORT and now + wait < ctx.deadline:
        await clock.sleep(wait)
        if soonest.admits(clock.monotonic()):
            return soonest
    cause = soonest.cause or "provider_overloaded"
    ctx.trail.error_type = cause
    raise Refusal(TABLE[cause].code, retry_after=max(1.0, soonest.until - clock.monotonic()), retry=False)


async def _place(gate: Gate, upstream: Upstream, elsewhere: bool, env: Env, ctx: Context) -> bool:
    """Waits in line for a place; False when it is not worth it, or did not come in time."""
    if not env.wws.share_in_flight:
        return False  # one request may not wake another here
    clock: Clock = env.wws.clock
    now = clock.monotonic()
    until = min(ctx.deadline, now + PATIENCE) if elsewhere else ctx.deadline
    woken = asyncio.get_running_loop().create_future()
    ticket = gate.join(until, now, partial(_wake, woken))
    if ticket is None:
        return False
    try:
        await _turn(gate, woken, until, clock)
    except TimeoutError:
        upstream.waited(until - now)
        return not gate.give_up(ticket)
    except asyncio.CancelledError:
        if not gate.give_up(ticket):
            gate.leave(clock.monotonic(), 0.0)
        upstream.released(clock.monotonic())
        raise
    upstream.waited(clock.monotonic() - now)
    return ticket.state == ADMITTED


async def _turn(gate: Gate, woken: asyncio.Future[None], until: float, clock: Clock) -> None:
    """Waits to be woken. Raises `TimeoutError` at `until`."""
    if gate.shared is None:
        await asyncio.wait_for(woken, until - clock.monotonic())
        return
    while not woken.done():
        left = until - clock.monotonic()
        if left <= 0:
            raise TimeoutError
        await asyncio.wait({woken}, timeout=min(left, _LOOK))
        if not woken.done():
            gate.look(clock.monotonic())


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
