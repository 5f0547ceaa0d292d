"""Running a function for a cron tick or a batch of messages. Who decides when, and who keeps the messages, is the host's.

What a function raises goes no further than the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from wws.bindings import Context
from wws.core.queue.delivery import Settlement, Terms, settlements
from wws.core.queue.message import Message
from wws.errors import FunctionStopped, Refusal
from wws.functions.bounded import bounded, goes_on_regardless
from wws.functions.queue import Batch
from wws.functions.scope import Scope

__all__ = ["DELIVERIES", "RUNS", "Handler", "Ran", "ScheduledEvent", "deliver", "run_scheduled"]

_log = logging.getLogger("wws.functions")

Handler = Callable[[Any, Any, Context], Awaitable[Any]]
"""`scheduled` or `queue` of a function's file."""

RUNS = "wws_cron_runs"
DELIVERIES = "wws_queue_deliveries"
"""Names of what is counted, see `Services.measure`."""


@dataclass(frozen=True, slots=True)
class ScheduledEvent:
    """A tick: the expression it belongs to and the time it was due, aware, in UTC. `manual`: somebody asked for it by hand."""

    cron: str
    scheduled_time: datetime
    manual: bool = False


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended: `outcome` is `ok`, `error` or `timeout`, `error` the words for it."""

    outcome: str
    error: str | None = None


async def run_scheduled(function: str, handler: Handler, event: ScheduledEvent, env: Scope, ctx: Context, timeout: float) -> Ran:
    """Runs a tick. Only cancellation is raised."""
    ran = await _run(function, handler, event, env, ctx, timeout)
    env.wws.measure(RUNS, (function, ran.outcome), 1)
    return ran


async def deliver(
    function: str,
    handler: Handler,
    queue: str,
    messages: Sequence[Message],
    env: Scope,
    ctx: Context,
    terms: Terms,
    timeout: float,
) -> list[Settlement]:
    """Hands a batch over: what is to be done with each message. Only cancellation is raised."""
    batch = Batch(queue, messages)
    ran = await _run(function, handler, batch, env, ctx, timeout)
    found = settlements(messages, batch.marks, ran.error, terms)
    for settlement in found:
        env.wws.measure(DELIVERIES, (queue, settlement.action), 1)
    return found


async def _run(function: str, handler: Handler, event: object, env: Scope, ctx: Context, timeout: float) -> Ran:
    goes_on = partial(goes_on_regardless, function, env, ctx)
    try:
        await bounded(_called(handler, event, env, ctx), timeout, goes_on)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return Ran("error", "CancelledError")  # the function's own
    except FunctionStopped as error:
        return Ran("timeout", str(error))
    except Refusal as refusal:
        if refusal.code == "function_timeout":
            _log.error("function %s (%s): %s", function, ctx.request_id, refusal.message)
            return Ran("timeout", refusal.message)
        return _failed(function, ctx, refusal)
    except Exception as error:
        return _failed(function, ctx, error)
    return Ran("ok")


async def _called(handler: Handler, event: object, env: Scope, ctx: Context) -> None:
    await handler(event, env, ctx)


def _failed(function: str, ctx: Context, error: Exception) -> Ran:
    _log.error("function %s (%s) failed", function, ctx.request_id, exc_info=error)
    return Ran("error", f"{type(error).__name__}: {error}"[:500])
