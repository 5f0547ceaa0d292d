"""Hedging: when no token has come for a while, the next route is asked as well, and the first to have one answers.

It is off unless `[attempts] hedge_after` is set, for both routes may bill (Dean and Barroso, "The Tail at Scale", CACM 56(2)).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from wws.bindings import Context, Env
from wws.core.trail import Attempt, Trail
from wws.functions.ending import Ending
from wws.functions.failure import Failure
from wws.functions.upstreams import Upstream
from wws.http import Response, Stream

__all__ = ["HEDGED", "hedged"]

HEDGED = "hedged"
"""The outcome of an attempt that was given up because another one was sooner."""
_LOOK = 0.05
"""Seconds between two looks at who has a first token: a plain answer does not tell before it is whole."""
_INPUT = "caller_context_length"

Make = Callable[[Upstream, Context], Coroutine[Any, Any, Response | Failure]]


class _Runner:
    """One of the two: its route and its own trail."""

    def __init__(self, make: Make, upstream: Upstream, ctx: Context, env: Env) -> None:
        self.upstream = upstream
        self.clock = env.wws.clock.monotonic
        self.started = self.clock()
        self.ctx = Context(ctx.request_id, ctx.deadline, Trail(ctx.trail.started), ctx.wait_until)
        self.task = asyncio.ensure_future(make(upstream, self.ctx))

    @property
    def ahead(self) -> bool:
        """Whether its answer is being written."""
        return not self.task.done() and self.ctx.trail.first_token is not None

    @property
    def failure(self) -> Failure | None:
        """Why it has none, when it has ended so."""
        if not self.task.done():
            return None
        result = self.task.result()
        return None if isinstance(result, Response) else result

    def give_up(self, trail: Trail) -> None:
        """It is not wanted any more. What it did is written into `trail`."""
        known = self.ctx.trail.attempts
        if not self.task.done():
            self.task.cancel()
            ref = self.upstream.ref
            trail.attempts.append(Attempt(ref.provider, ref.model, HEDGED, self.clock() - self.started))
            return
        result = self.task.result()
        if not isinstance(result, Response):
            trail.attempts += known
            return
        trail.attempts += [one._replace(outcome=HEDGED) if one.outcome == "ok" else one for one in known]
        if isinstance(result.body, Stream):
            self.ctx.wait_until(result.body.aclose())
        if result.finish is not None:
            result.finish("client_closed", 0)


async def hedged(
    make: Make, first: Upstream, following: Callable[[], Upstream | None], after: float, env: Env, ctx: Context
) -> tuple[Response | Failure, Upstream]:
    """The answer of `first`, or of the route that `following` gives (None: there is none to be had) when `first` has no token
    `after` seconds later; and which of them it is. `make` is one attempt, which writes into the context it is given."""
    began = env.wws.clock.monotonic()
    runners = [_Runner(make, first, ctx, env)]
    try:
        await asyncio.wait({runners[0].task}, timeout=after)
        if not runners[0].task.done() and not runners[0].ahead:
            second = following()
            if second is not None:
                runners.append(_Runner(make, second, ctx, env))
        winner = await _race(runners)
        trail = ctx.trail
        for runner in runners:
            if runner is not winner:
                runner.give_up(trail)
        result = await winner.task
    except BaseException:
        for runner in runners:
            runner.task.cancel()
        raise
    _adopt(trail, winner.ctx.trail)
    trail.upstream = (trail.upstream or 0.0) + env.wws.clock.monotonic() - began
    if isinstance(result, Response) and isinstance(result.finish, Ending):
        result.finish.trail = trail
    return result, winner.upstream


async def _race(runners: list[_Runner]) -> _Runner:
    """Who answers, or is the last to fail, or fails as everybody would."""
    while True:
        running = [runner for runner in runners if not runner.task.done()]
        for runner in runners:
            if runner.task.done():
                failure = runner.failure
                if failure is None or _everybody_s(failure):
                    return runner
        if len(running) <= 1:
            return running[0] if running else runners[-1]
        for runner in running:
            if runner.ahead:
                return runner
        await asyncio.wait({runner.task for runner in running}, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)


def _everybody_s(failure: Failure) -> bool:
    """Whether it is the caller's mistake, which the other route would find as well."""
    return failure.error_type.startswith("caller_") and failure.error_type != _INPUT


def _adopt(trail: Trail, other: Trail) -> None:
    """Writes what the winner did into the request's own trail."""
    trail.attempts += other.attempts
    trail.warnings += other.warnings
    trail.provider, trail.model = other.provider, other.model
    trail.usage, trail.first_token = other.usage, other.first_token
