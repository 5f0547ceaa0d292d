"""What runs without a request: scheduled functions, queues, and runs that somebody asks for by hand."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

from wws import codec
from wws.bindings import KV, Claims, Clock, Context, Env, Queues
from wws.core.queue.delivery import Settlement, Terms
from wws.core.queue.message import Message
from wws.core.schedule.order import QUEUE, RESULT_TTL, ordered, result
from wws.core.schedule.plan import Schedule
from wws.core.trail import Trail
from wws.errors import FunctionError
from wws.functions.invoke import Code, Function
from wws.functions.jobs import Ran, ScheduledEvent, deliver, run_scheduled
from wws.functions.queue import Queue
from wws.functions.scope import Scope
from wws.hosts.server.consumers import Consumers, Receiver
from wws.hosts.server.schedules import Scheduler
from wws.http import Request
from wws.observe.metrics import Series
from wws.project.crons import after
from wws.project.settings import Project

__all__ = ["Jobs"]

_COUNT: Final = 5.0
"""Seconds between two counts of what the queues hold."""
_MARGIN: Final = 30.0
"""Seconds past its timeout after which a run that was asked for by hand is given up."""
_log = logging.getLogger("wws.functions")

Background = Callable[[Awaitable[Any]], None]


class JobStore(Claims, Queues, Protocol):
    """Where cron ticks are claimed and queues are kept."""

    def close(self) -> None:
        """Lets go of it."""
        ...


class _Version(NamedTuple):
    project: Project
    env: Env


class Jobs:
    """One process's share of them. `use` takes a version of the project, and every later run is of that version."""

    def __init__(
        self, opens: Callable[[], JobStore], store: KV, clock: Clock, measure: Callable[..., None], background: Background
    ) -> None:
        self._opens = opens
        self._store = store
        self._clock = clock
        self._background = background
        self._version: _Version | None = None
        self._measure = measure
        self._jobs: JobStore
        self._consumers: Consumers | None = None  # until there is a queue or a schedule
        self._scheduler: Scheduler
        self._loops: list[asyncio.Task[None]] = []

    def _open(self) -> Consumers:
        if self._consumers is None:
            self._jobs = self._opens()
            self._scheduler = Scheduler(self._jobs, self._store, self._clock, self._tick, self._measure)
            self._consumers = Consumers(self._jobs, self._deliver)
        return self._consumers

    def bindings(self, project: Project) -> dict[str, Queue]:
        """The queues of a project, as functions see them. Raises `StoreError`."""
        if not project.queues:
            return {}
        self._open()
        return {one.binding: Queue(self._jobs, one.binding, one.terms.max_messages, self._sent) for one in project.queues}

    def use(self, project: Project, env: Env) -> None:
        """This version from now on. Nothing runs until there is something to run."""
        self._version = _Version(project, env)
        scheduled = [name for name, found in project.functions.functions.items() if "scheduled" in found.handlers]
        receivers = [Receiver(one.binding, one.function, one.terms, one.dead_letter) for one in project.queues]
        if scheduled:
            visibility = project.limits.timeout + _MARGIN
            receivers.append(Receiver(QUEUE, QUEUE, Terms(max_batch=1, max_retries=0, visibility=visibility)))
        if self._consumers is None and not receivers:
            return
        self._open().use({one.queue: one for one in receivers})
        self._scheduler.use(list(_schedules(project, scheduled)), _longest(project))
        if not self._loops:
            loop = asyncio.get_running_loop()
            self._loops = [loop.create_task(self._scheduler.keep()), loop.create_task(self._keep_counting())]

    def series(self) -> dict[str, Series]:
        """What the queues hold, for the metrics."""

        def read() -> list[tuple[tuple[str, ...], float]]:
            return [
                ((name, state), float(getattr(counts, state)))
                for name, counts in ({} if self._consumers is None else self._consumers.counts).items()
                if name != QUEUE
                for state in ("ready", "waiting", "dead")
            ]

        return {"wws_queue_messages": ("Messages in queues.", ("queue", "state"), read)}

    async def drain(self, grace: float, hurry: asyncio.Event) -> None:
        """Begins nothing more, and gives what runs `grace` seconds to end, or until `hurry` is set."""
        if self._consumers is None:
            return
        for task in self._loops:
            task.cancel()
        loop, consumers = asyncio.get_running_loop(), self._consumers
        ending = [loop.create_task(part.drain(grace)) for part in (consumers, self._scheduler)]
        hurried = loop.create_task(_hurries(hurry, ending))
        await asyncio.wait(ending)
        hurried.cancel()
        await asyncio.gather(consumers.drain(0.0), self._scheduler.drain(0.0))  # what was still at work when somebody hurried
        self._jobs.close()

    async def _keep_counting(self) -> None:
        consumers = self._open()
        while True:
            await consumers.count()
            await asyncio.sleep(_COUNT)

    def _sent(self, queue: str, count: int) -> None:
        self._measure("wws_queue_sent", (queue,), count)
        self._open().sent(queue)

    async def _tick(self, schedule: Schedule, tick: float) -> None:
        await self._scheduled(schedule.function, ScheduledEvent(schedule.cron, datetime.fromtimestamp(tick, UTC)))

    async def _scheduled(self, name: str, event: ScheduledEvent) -> Ran:
        project, env = self._now()
        handler = await self._handler(env, name, "scheduled")
        scope, ctx = self._around(env, name, project.limits.of(_settings(env, name)))
        return await run_scheduled(name, handler, event, scope, ctx, ctx.deadline - self._clock.monotonic())

    async def _deliver(self, receiver: Receiver, messages: list[Message]) -> list[Settlement]:
        if receiver.queue == QUEUE:
            return [await self._obey(message) for message in messages]
        name = receiver.function or ""
        project, env = self._now()
        handler = await self._handler(env, name, "queue")
        scope, ctx = self._around(env, name, project.limits.of(_settings(env, name)))
        timeout = ctx.deadline - self._clock.monotonic()
        return await deliver(name, handler, receiver.queue, messages, scope, ctx, receiver.terms, timeout)

    async def _obey(self, message: Message) -> Settlement:
        """Runs what somebody has asked for, and leaves word of how it ended."""
        order, began = ordered(message), self._clock.monotonic()
        if order is None:
            return Settlement(message, "ack")
        now = datetime.fromtimestamp(self._clock.time(), UTC)
        ran = await self._scheduled(order.function, ScheduledEvent(order.cron, now, manual=True))
        told = {"outcome": ran.outcome, "error": ran.error, "seconds": round(self._clock.monotonic() - began, 6)}
        await self._now().env.wws.kv.put(result(message.id), codec.encode(told), RESULT_TTL)
        return Settlement(message, "ack")

    def _now(self) -> _Version:
        if self._version is None:
            raise RuntimeError("nothing runs before there is a version to run")
        return self._version

    def _around(self, env: Env, name: str, timeout: float) -> tuple[Scope, Context]:
        """The `env` and `ctx` of a run: nobody asks, so there is no user."""
        now = self._clock.monotonic()
        ctx = Context(f"job-{secrets.token_hex(6)}", now + timeout, Trail(now), self._background)
        ctx.params = {}
        return Scope(env, Request("POST", f"/{name}"), ctx), ctx

    async def _handler(self, env: Env, name: str, event: str) -> Callable[..., Awaitable[Any]]:
        """The handler of a function; where it cannot be had, one that says why, so that the run fails as any other."""
        function: Function | None = env.wws.functions.get(name)
        problem: Exception
        if function is None:
            problem = LookupError(f"there is no function {name}")
        else:
            try:
                code: Code = function.code or await function.load()
            except FunctionError as error:
                problem = error
            else:
                if (handler := code.events.get(event)) is not None:
                    return handler
                problem = LookupError(f"{name} has no `async def {event}(...)`")

        async def fails(*_: object) -> None:
            raise problem

        return fails


async def _hurries(hurry: asyncio.Event, ending: list[asyncio.Task[None]]) -> None:
    await hurry.wait()
    for task in ending:
        task.cancel()


def _longest(project: Project) -> float:
    """The longest that a scheduled function may take."""
    every = [project.limits.of(found.settings) for found in project.functions.functions.values() if "scheduled" in found.handlers]
    return max(every, default=project.limits.timeout)


def _settings(env: Env, name: str) -> Any:
    function = env.wws.functions.get(name)
    return {} if function is None else function.settings


def _schedules(project: Project, scheduled: Iterable[str]) -> Iterable[tuple[Schedule, Callable[[float], float]]]:
    for row in project.crons:
        zone = row.timezone or "UTC"
        for name in scheduled if row.function is None else (row.function,):
            yield Schedule(row.cron, name, zone), after(row.cron, zone)
