"""The attempts of one request: one budget, one deadline, over the candidates in order, as the matrix says.

admitted   a route whose breaker lets requests pass, or the one probe of one that does not
a place    in the route's gate, or in line for it, or the next route
attempt    one upstream call
then       the answer, the same route once more, the next route, or the caller gets the error
"""

from __future__ import annotations

from collections.abc import Coroutine
from math import inf
from typing import Any, Final

from wws.bindings import Context
from wws.core.policy import ModelRef, Route
from wws.core.resilience.backoff import delay
from wws.core.resilience.gate import Gate
from wws.core.resilience.matrix import Action, decide
from wws.core.route.choose import Choice
from wws.core.text import record
from wws.core.trail import Attempt
from wws.core.wire import chat
from wws.errors import Refusal, UpstreamError
from wws.functions.attempt import ASSEMBLED, attempt, heard, outgoing, read_on
from wws.functions.candidates import first_open, following, probed
from wws.functions.early import early
from wws.functions.failure import Failure, of_transport
from wws.functions.hedge import hedged
from wws.functions.line import turn_at
from wws.functions.setup import Setup
from wws.functions.upstreams import Upstream
from wws.http import Request, Response

__all__ = ["attempts"]

_record: Final = record


def attempts(
    call: chat.Chat, choice: Choice, request: Request, setup: Setup, ctx: Context, route: Route
) -> Coroutine[Any, Any, Response]:
    """The answer of the first candidate that has one, to be awaited. Raises `Refusal`, now or then."""
    operation = call.operation
    candidates = choice.candidates
    if operation not in setup.everywhere:
        candidates = tuple([ref for ref in candidates if operation in setup.providers[ref.provider].operations])
        if not candidates:
            raise Refusal("unsupported_endpoint", param="model", retry=False)
    work = _Attempts(call, choice.alias is None, candidates, request, setup, ctx, route.mode == "buffer")
    if call.stream:
        after = setup.attempts.commit_after
        if after is not None and work.patience() > after:
            return early(work.run(), after, "anthropic" if operation == "messages" else "openai", setup.env, ctx)
    return work.run()


class _Attempts:
    """One request's. `named`: the caller chose the model. `at` is the place of the candidate, `made` the number of upstream
    calls, `retries` of them the second tries at this candidate; `failure` and `action` are the last call's."""

    __slots__ = (
        "action", "at", "budget", "call", "candidates", "ctx", "failure", "made", "named", "request", "retries", "routes",
        "setup", "whole",
    )  # fmt: skip

    def __init__(
        self,
        call: chat.Chat,
        named: bool,
        candidates: tuple[ModelRef, ...],
        request: Request,
        setup: Setup,
        ctx: Context,
        whole: bool,
    ) -> None:
        self.call = call
        self.named = named
        self.candidates = candidates
        self.request = request
        self.setup = setup
        self.routes = setup.routes
        self.budget = setup.budget
        self.ctx = ctx
        self.whole = whole
        self.at = self.made = self.retries = 0
        self.failure: Failure | None = None
        self.action: Action | None = None

    async def run(self) -> Response:
        """Tries until one answers, none is left, or the budget is spent.

        The usual attempt waits once, for its answer, and in this coroutine alone: `outgoing`, `heard` and `_ended` are what
        `attempt` does too, without one of its own.
        """
        setup, ctx, call = self.setup, self.ctx, self.call
        wws = setup.wws
        while self.made < self.budget:
            upstream = self._at_once() or await self._in_turn()
            if upstream is None:
                break
            if self._hedges():
                after = setup.attempts.hedge_after or 0.0
                result, upstream = await hedged(self._make, upstream, self._hedge, after, setup.env, ctx)
            else:
                started = self._begun(upstream)
                try:
                    sent = outgoing(call, upstream, self.request.headers, ctx.deadline, setup.attempts.assemble)
                    response = await upstream.provider.send(sent, wws.dial)
                    told = heard(response, sent, call, upstream, started, wws.clock, ctx.trail)
                    if told is None:
                        told = await read_on(
                            response, sent, call, upstream, self.request, wws, ctx, started,
                            whole=self.whole, last=self._last, jitter=_jitter(ctx),
                        )  # fmt: skip
                    result = told
                except UpstreamError as error:
                    result = of_transport(error)
                except BaseException:
                    self._left(upstream, started)
                    raise
                self._ended(upstream, started, result, ctx)
            if isinstance(result, Response):
                return result
            if not await self._goes_on(upstream, result):
                break
        raise self._refusal()

    def _at_once(self) -> Upstream | None:
        """The route to this candidate, where everybody is let in and a place is free; that is taken."""
        upstream = self.routes.of(self.candidates[self.at])
        gate = upstream.gate
        return upstream if upstream.healthy and (gate is None or gate.enter()) else None

    async def _in_turn(self) -> Upstream | None:
        """The route to ask next, with a place at it, after a wait where that helps. None: the failure so far is the answer."""
        while True:
            upstream = await self._admitted()
            if upstream is None:
                return None
            gate = upstream.gate
            if gate is None or gate.enter() or await turn_at(gate, upstream, self._others, self.setup.env, self.ctx):
                return upstream
            upstream.released(self.setup.clock())
            if not self._spill(gate):
                return None

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

    def _hedges(self) -> bool:
        """Whether the next route is asked as well when this one is slow, which takes an answer that is seen to begin."""
        policy = self.setup.attempts
        if policy.hedge_after is None or self.whole:
            return False
        return self.call.stream or (policy.assemble and self.call.operation in ASSEMBLED)

    def _hedge(self) -> Upstream | None:
        """The next candidate that may be asked beside this one, at once; its place is taken."""
        now = self.setup.clock()
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
    def _last(self) -> bool:
        """Whether nobody can be asked after this call."""
        return self.made == self.budget or not self._others

    @property
    def _others(self) -> bool:
        """Whether there is a candidate after this one."""
        return self.at + 1 < len(self.candidates)

    async def _admitted(self) -> Upstream | None:
        """The route to ask: this candidate's, or the next one's whose breaker lets us. None: the failure so far is the answer."""
        upstream = self.routes.of(self.candidates[self.at])
        now = self.setup.clock()
        if upstream.admits(now):
            return upstream
        wider = self.at if self.action is not None and self.action.wider else None
        place = first_open(self.candidates, self.at + 1, self.routes, now, self.setup.policy, wider)
        if place is not None:
            self.at, self.retries = place, 0
            return self.routes.of(self.candidates[place])
        if self.failure is not None:
            return None
        upstream = await probed(self.candidates, self.routes, self.setup.env, self.ctx)
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

    def _begun(self, upstream: Upstream) -> float:
        """Counts a call of `upstream`; the moment it begins."""
        self.made += 1
        started = self.setup.clock()
        upstream.account.budget.request(started)
        return started

    def _ended(self, upstream: Upstream, started: float, result: Response | Failure, ctx: Context) -> None:
        """What a call means for its route. A stream has the place in the gate until it ends."""
        trail, ref = ctx.trail, upstream.ref
        now = self.setup.clock()
        spent = now - started
        trail.upstream = spent if trail.upstream is None else trail.upstream + spent
        if not isinstance(result, Response):
            upstream.failed(now, result.error_type, result.retry_after, _jitter(ctx))
            trail.attempts.append(Attempt(ref.provider, ref.model, result.error_type, spent))
        else:
            trail.attempts.append(_record(Attempt, ref.provider, ref.model, "ok", spent))
            trail.provider = upstream.provider.name
            trail.model = trail.model or ref.model
            if not isinstance(result.body, bytes):
                return
            upstream.succeeded(now)
        if upstream.gate is not None:
            upstream.gate.leave(now, spent)

    def _left(self, upstream: Upstream, started: float) -> None:
        """The caller has gone, or sent what cannot be sent on: neither is the provider's fault."""
        now = self.setup.clock()
        upstream.released(now)
        if upstream.gate is not None:
            upstream.gate.leave(now, now - started)

    async def _make(self, upstream: Upstream, ctx: Context) -> Response | Failure:
        """One call beside another, which writes into a context of its own."""
        started = self._begun(upstream)
        try:
            result = await attempt(
                self.call, upstream, self.request, self.setup.wws, ctx, whole=self.whole, last=self._last, jitter=_jitter(ctx)
            )
        except BaseException:
            self._left(upstream, started)
            raise
        self._ended(upstream, started, result, ctx)
        return result

    async def _goes_on(self, upstream: Upstream, failure: Failure) -> bool:
        """Whether there is another attempt to make, after a wait where it goes to the same route."""
        self.failure = failure
        now = self.setup.clock()
        left = self.ctx.deadline - now
        retry_after = failure.retry_after
        action = self.action = decide(
            failure.outcome, failure.code, retried=self.retries > 0, named=self.named, retry_after=retry_after, left=left
        )
        if action.retry_same and self.made < self.budget:
            pause = delay(self.retries, _jitter(self.ctx), retry_after)
            if pause < left and upstream.account.budget.allows(now):
                self.retries += 1
                await self.setup.wws.clock.sleep(pause)
                return True
        place = following(self.candidates, self.at, action, self.setup.policy)
        if place is None:
            return False
        self.at, self.retries = place, 0
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


def _jitter(ctx: Context) -> float:
    """From 0 to 1. Requests differ in their ids, and the seed of `hash` is this process's own: enough to part those who fail
    together."""
    return (hash(ctx.request_id) & 0xFFFF) / 65536.0
