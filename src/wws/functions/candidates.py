"""Which of a request's candidates is asked next: after a failure, past breakers that are open, or when all of them are."""

from __future__ import annotations

from wws.bindings import Context, Env
from wws.core.policy import ModelRef, Policy
from wws.core.resilience.matrix import PATIENCE, TABLE, Action
from wws.core.route import catalogue
from wws.errors import Refusal
from wws.functions.upstreams import Upstream, Upstreams

__all__ = ["first_open", "following", "probed"]


def following(candidates: tuple[ModelRef, ...], at: int, action: Action, policy: Policy) -> int | None:
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


def first_open(
    candidates: tuple[ModelRef, ...], start: int, routes: Upstreams, now: float, policy: Policy, wider: int | None
) -> int | None:
    """The place of the first candidate from `start` on that may be asked. `wider`: the place whose window was too small."""
    for place in range(start, len(candidates)):
        if wider is not None and not _larger(candidates[place], candidates[wider], policy):
            continue
        if routes.of(candidates[place]).admits(now):
            return place
    return None


async def probed(candidates: tuple[ModelRef, ...], routes: Upstreams, env: Env, ctx: Context) -> Upstream:
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
    if 0.0 < wait <= PATIENCE and now + wait < ctx.deadline:
        await clock.sleep(wait)
        if soonest.admits(clock.monotonic()):
            return soonest
    cause = soonest.cause or "provider_overloaded"
    ctx.trail.error_type = cause
    raise Refusal(TABLE[cause].code, retry_after=max(1.0, soonest.until - clock.monotonic()), retry=False)
