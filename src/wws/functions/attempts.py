"""The attempts of one request: one budget, one deadline, over the candidates in order, as the matrix says.

admitted   a route whose breaker lets requests pass, or the one probe of one that does not
a place    in the route's gate, or in line for it, or the next route
attempt    one upstream call
then       the answer, the same route once more, the next route, or the caller gets the error
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NamedTuple

from wws.bindings import Clock, Context, Env
from wws.core.policy import ModelRef, Policy, Route
from wws.core.resilience.backoff import delay
from wws.core.resilience.gate import ADMITTED, PATIENCE, Gate
from wws.core.resilience.matrix import PATIENCE as SHORT
from wws.core.resilience.matrix import TABLE, Action, decide
from wws.core.route import catalogue
from wws.core.route.choose import Choice
from wws.core.trail import Attempt, Trail
from wws.core.wire import chat
from wws.errors import Refusal
from wws.functions.attempt import Failure, attempt
from wws.functions.upstreams import Upstream, Upstreams, upstreams_of
from wws.http import Request, Response

__all__ = ["Asked", "attempts"]


class Asked(NamedTuple):
    """What the caller wants, read and routed."""

    call: chat.Chat
    choice: Choice


async def attempts(asked: Asked, request: Request, env: Env, ctx: Context, route: Route) -> Response:
    """The answer of the first candidate that has one. Raises `Refusal`."""
    wws = env.wws
    policy, trail = wws.policy, ctx.trail
    clock = wws.clock.monotonic
    routes = upstreams_of(env)
    operation = asked.call.operation
    candidates = asked.choice.candidates
    for ref in candidates:
        if operation not in wws.providers[ref.provider].operations:
            candidates = tuple([ref for ref in candidates if operation in wws.providers[ref.provider].operations])
            break
    if not candidates:
        raise Refusal("unsupported_endpoint", param="model", retry=False)
    named = asked.choice.alias is None
    # Requests differ in their ids, and the seed of `hash` is this process's own: random enough to part those who fail together.
    jitter = (hash(ctx.request_id) & 0xFFFF) / 65536.0
    whole = route.mode == "buffer"
    failure: Failure | None = None
    action: Action | None = None
    retries, at = 0, 0
    budget = max(1, policy.attempts.max)
    made = 0
    while made < budget:
        now = clock()
        upstream = routes.of(candidates[at])
        if not upstream.admits(now):
            following = _open(candidates, at + 1, routes, now, policy, at if action is not None and action.wider else None)
            if following is not None:
                at, retries = following, 0
                upstream = routes.of(candidates[at])
            elif failure is not None:
                break
            else:
                upstream = await _closed(candidates, routes, env, ctx)
                at = candidates.index(upstream.ref)
        gate = upstream.gate
        if gate is not None and not gate.enter() and not await _place(gate, upstream, at + 1 < len(candidates), env, ctx):
            upstream.released(clock())
            if at + 1 < len(candidates):
                at, retries = at + 1, 0
                made += failure is not None  # who spills over from place to place comes to an end too
                continue
            if failure is not None:
                break
            raise Refusal("concurrency_limit", retry_after=max(1.0, gate.expected_wait()), retry=False)
        made += 1
        started = clock()
        upstream.account.budget.request(started)
        last = made == budget or at + 1 == len(candidates)
        try:
            result = await attempt(asked.call, upstream, request, env, ctx, whole=whole, last=last, jitter=jitter)
        except BaseException:
            # The caller has gone, or sent what cannot be sent on: neither is the provider's fault.
            now = clock()
            upstream.released(now)
            if gate is not None:
                gate.leave(now, now - started)
            raise
        now = clock()
        spent = now - started
        trail.upstream = (trail.upstream or 0.0) + spent
        if isinstance(result, Response):
            if isinstance(result.body, bytes):
                upstream.succeeded(now)
                if gate is not None:
                    gate.leave(now, spent)
            trail.attempts.append(Attempt(upstream.ref.provider, upstream.ref.model, "ok", spent))
            trail.provider = upstream.provider.name
            trail.model = trail.model or upstream.ref.model
            return result
        failure = result
        if gate is not None:
            gate.leave(now, spent)
        upstream.failed(now, failure.error_type, failure.retry_after, jitter)
        trail.attempts.append(Attempt(upstream.ref.provider, upstream.ref.model, failure.error_type, spent))
        left = ctx.deadline - now
        action = decide(
            failure.outcome, failure.code, retried=retries > 0, named=named, retry_after=failure.retry_after, left=left
        )
        if action.retry_same and made < budget:
            pause = delay(retries, jitter, failure.retry_after)
            if pause < left and upstream.account.budget.allows(now):
                retries += 1
                await wws.clock.sleep(pause)
                continue
        following = _next(candidates, at, action, policy)
        if following is None:
            break
        at, retries = following, 0
    if failure is None:
        raise Refusal("overloaded", retry_after=1.0, retry=False)
    raise _refusal(failure, action or decide(failure.outcome, failure.code, visible=True, named=named), trail)


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
        await asyncio.wait_for(woken, until - now)
    except TimeoutError:
        return not gate.give_up(ticket)
    except asyncio.CancelledError:
        if not gate.give_up(ticket):
            gate.leave(clock.monotonic(), 0.0)
        upstream.released(clock.monotonic())
        raise
    return ticket.state == ADMITTED


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _refusal(failure: Failure, action: Action, trail: Trail) -> Refusal:
    trail.error_type = failure.error_type
    caller = failure.error_type.startswith("caller_")
    return Refusal(
        action.public_code,
        failure.detail,
        param=failure.param,
        retry_after=failure.retry_after,
        # Our own attempts are spent: the SDK's would multiply them.
        retry=None if caller else False,
    )
