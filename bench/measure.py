"""The measurements: one sample at a time, gathered over interleaved rounds, the median of each told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from bench import gateway, pace, wrk
from bench.cpu import cpu_seconds, rss_bytes
from bench.errors import BenchError
from bench.shapes import Shape
from bench.streams import Streams
from bench.world import Target, World, verify

__all__ = ["STREAMS", "Plan", "Result", "Sample", "closed", "measure", "streamed", "summary"]

STREAMS = 32
_MANY_STREAMS = 500
_STARTS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often. `seconds` per sample: CPU is counted in ticks of 10 ms, so 2 s are the least."""

    rounds: int = 5
    seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure, in the unit of its shape. `rate` per second and p50, p99 in milliseconds where the load tells them."""

    value: float
    rate: float | None = None
    p50: float | None = None
    p99: float | None = None


@dataclass(slots=True)
class Result:
    """A shape with what was measured: WWS's samples, and nginx's where there is a comparison.

    `fault`: why it could not be measured, or not to the end. Its samples then count for nothing.
    """

    shape: Shape
    wws: list[Sample] = field(default_factory=list)
    nginx: list[Sample] = field(default_factory=list)
    fault: str | None = None


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def summary(samples: list[Sample]) -> Sample:
    """The median of each field on its own."""
    return Sample(
        value=median(sample.value for sample in samples),
        rate=_middle(sample.rate for sample in samples),
        p50=_middle(sample.p50 for sample in samples),
        p99=_middle(sample.p99 for sample in samples),
    )


def closed(target: Target, seconds: float) -> Sample:
    """CPU microseconds per request under wrk."""
    before = cpu_seconds(target.pid)
    counts = wrk.run(target.call, seconds)
    spent = cpu_seconds(target.pid) - before
    return Sample(spent / counts.requests * 1e6, counts.rate, counts.p50 / 1e3, counts.p99 / 1e3)


def exact(target: Target, seconds: float) -> Sample:
    """How many more than the limit were let through. Raises `BenchError` when it was not reached, or fewer were."""
    counts = wrk.run(target.call, seconds)
    let_through = counts.requests - counts.bad_status
    if not counts.bad_status or let_through < gateway.EXACT:
        raise BenchError(f"{target.call.url}: {let_through} of {counts.requests} were let through, the limit is {gateway.EXACT}")
    return Sample(float(let_through - gateway.EXACT), counts.rate)


def streamed(target: Target, seconds: float) -> Sample:
    """CPU microseconds per event relayed."""
    with Streams(target.call, STREAMS) as streams:
        streams.wait_open()
        streams.read(0.5)
        events, before, start = streams.events, cpu_seconds(target.pid), time.monotonic()
        streams.read(seconds)
        spent, took = cpu_seconds(target.pid) - before, time.monotonic() - start
        relayed = streams.events - events
    if relayed == 0:
        raise BenchError(f"{target.call.url}: no event came")
    return Sample(spent / relayed * 1e6, relayed / took)


def added_latency(world: World, seconds: float) -> dict[str, tuple[Sample, Sample]]:
    """Milliseconds added to a direct call at 1,000 requests/s: (WWS, nginx) of p50 and of p99."""
    runs = {name: pace.run(world.targets[name].call, 1000, seconds) for name in ("direct", "proxy", "wws-chat")}

    def added(name: str, field_name: str) -> Sample:
        more = getattr(runs[name], field_name) - getattr(runs["direct"], field_name)
        return Sample(more * 1e3, p50=runs[name].p50 * 1e3, p99=runs[name].p99 * 1e3)

    return {f"latency-{name}": (added("wws-chat", name), added("proxy", name)) for name in ("p50", "p99")}


def stream_memory(target: Target) -> Sample:
    """Kilobytes of resident memory per stream, over what the process holds when it has served some already."""
    with Streams(target.call, STREAMS) as streams:
        streams.wait_open()
    time.sleep(0.5)
    before = rss_bytes(target.pid)
    with Streams(target.call, _MANY_STREAMS) as streams:
        streams.wait_open()
        streams.read(2.0)  # each has had an event or two
        held = rss_bytes(target.pid) - before
    return Sample(held / _MANY_STREAMS / 1024)


def starts(world: World) -> tuple[list[Sample], list[Sample]]:
    """Seconds from the start of `wws serve` to its first answer, and megabytes of a worker that has nothing to do."""
    times, sizes = [], []
    for _ in range(_STARTS):
        path, base_url = gateway.prepare(gateway.VARIANTS["pipeline"], world.upstreams)
        begin = time.monotonic()
        with gateway.serve(path, "start") as program:
            times.append(Sample(gateway.ready(program, base_url) - begin))
            time.sleep(0.5)
            sizes.append(Sample(rss_bytes(program.pid) / 1024**2))
    return times, sizes


class _Round:
    """One round: a target that several shapes compare with is measured once."""

    def __init__(self, world: World, seconds: float) -> None:
        self._world = world
        self._seconds = seconds
        self._seen: dict[str, Sample] = {}

    def sample(self, name: str) -> Sample:
        if name not in self._seen:
            target = self._world.targets[name]
            self._seen[name] = (streamed if target.streamed else closed)(target, self._seconds)
        return self._seen[name]


class _Run:
    """The results of a run. A shape that fails is out of it from then on; the others go on."""

    def __init__(self, world: World, shapes: tuple[Shape, ...], plan: Plan, tell: Callable[[str], None]) -> None:
        self._world = world
        self._plan = plan
        self._tell = tell
        self.results = {shape.name: Result(shape) for shape in shapes}

    def sound(self, *kinds: str) -> list[Result]:
        return [result for result in self.results.values() if result.shape.kind in kinds and result.fault is None]

    @contextmanager
    def _charged_to(self, what: str, results: list[Result]) -> Iterator[None]:
        self._tell(what)
        try:
            yield
        except BenchError as error:
            for result in results:
                result.fault = " ".join(str(error).split())

    def warm_up(self) -> None:
        for result in self.sound("ratio"):
            with self._charged_to(f"warming up: {result.shape.name}", [result]):
                for name in (result.shape.nginx, result.shape.wws):
                    target = self._world.targets[name]
                    verify(name, target)
                    if not target.streamed:
                        wrk.run(target.call, 1)

    def round(self, number: int) -> None:
        turn = _Round(self._world, self._plan.seconds)
        for result in self.sound("ratio"):
            with self._charged_to(f"round {number} of {self._plan.rounds}: {result.shape.name}", [result]):
                nginx = turn.sample(result.shape.nginx)
                result.wws.append(turn.sample(result.shape.wws))
                result.nginx.append(nginx)
        latency = self.sound("latency")
        if latency:
            with self._charged_to(f"round {number} of {self._plan.rounds}: latency", latency):
                samples = added_latency(self._world, self._plan.seconds + 2)
                for result in latency:
                    wws, nginx = samples[result.shape.name]
                    result.wws.append(wws)
                    result.nginx.append(nginx)

    def once(self) -> None:
        for result in self.sound("exact"):
            with self._charged_to(f"exactness: {result.shape.name}", [result]):
                result.wws.append(exact(self._world.targets[result.shape.wws], self._plan.seconds))
        memory = self.sound("memory")
        if memory:
            with self._charged_to("memory of open streams", memory):
                memory[0].nginx.append(stream_memory(self._world.targets["sse-slow"]))
                memory[0].wws.append(stream_memory(self._world.targets["wws-sse-slow"]))
        started = self.sound("start", "idle")
        if started:
            with self._charged_to("starts", started):
                times, sizes = starts(self._world)
                for result in started:
                    result.wws.extend(times if result.shape.kind == "start" else sizes)


def measure(world: World, shapes: tuple[Shape, ...], plan: Plan, tell: Callable[[str], None]) -> list[Result]:
    """All rounds of all shapes; `tell` hears what is being done."""
    run = _Run(world, shapes, plan, tell)
    run.warm_up()
    for number in range(plan.rounds):
        run.round(number + 1)
    run.once()
    return list(run.results.values())
