"""Waiting in line for a place at a route that takes so many requests at a time."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from wws.bindings import Clock, Context, Env
from wws.core.resilience.gate import ADMITTED, PATIENCE, Gate
from wws.functions.upstreams import Upstream

__all__ = ["turn_at"]

_LOOK: Final = 0.02
"""Seconds between two looks at places that other processes hold."""


async def turn_at(gate: Gate, upstream: Upstream, elsewhere: bool, env: Env, ctx: Context) -> bool:
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
