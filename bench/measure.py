"""The measurements: one sample at a time, gathered over interleaved rounds, the median of each told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

from bench import gateway, pace, wrk
from bench.cpu import cpu_seconds, rss_bytes
from bench.errors import BenchError
from bench.shapes import Shape
from bench.streams import Streams
from bench.world import Target, World

__all__ = ["Plan", "Result", "Sample", "measure", "summary"]

_STREAMS = 32
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
    """A shape with what was measured: WWS's samples, and nginx's where there is a comparison."""

    shape: Shape
    wws: list[Sample] = field(default_factory=list)
    nginx: list[Sample] = field(default_factory=list)


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


def streamed(target: Target, seconds: float) -> Sample:
    """CPU microseconds per event relayed."""
    with Streams(target.call, _STREAMS) as streams:
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
    with Streams(target.call, _STREAMS) as streams:
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


def measure(world: World, shapes: tuple[Shape, ...], plan: Plan, tell: Callable[[str], None]) -> list[Result]:
    """All rounds of all shapes; `tell` hears what is being done."""
    results = {shape.name: Result(shape) for shape in shapes}
    kinds = {shape.kind for shape in shapes}
    ratios = [result for result in results.values() if result.shape.kind == "ratio"]
    if ratios:
        tell("warming up")
        for name in {name for result in ratios for name in (result.shape.nginx, result.shape.wws)}:
            if not world.targets[name].streamed:
                wrk.run(world.targets[name].call, 1)
    for number in range(plan.rounds):
        turn = _Round(world, plan.seconds)
        for result in ratios:
            tell(f"round {number + 1} of {plan.rounds}: {result.shape.name}")
            result.nginx.append(turn.sample(result.shape.nginx))
            result.wws.append(turn.sample(result.shape.wws))
        if "latency" in kinds:
            tell(f"round {number + 1} of {plan.rounds}: latency")
            for name, (wws, nginx) in added_latency(world, plan.seconds + 2).items():
                if name in results:
                    results[name].wws.append(wws)
                    results[name].nginx.append(nginx)
    if "memory" in kinds:
        tell("memory of open streams")
        results["memory"].nginx.append(stream_memory(world.targets["sse-slow"]))
        results["memory"].wws.append(stream_memory(world.targets["wws-sse-slow"]))
    if kinds & {"idle", "start"}:
        tell("starts")
        times, sizes = starts(world)
        for name, samples in (("start", times), ("idle", sizes)):
            if name in results:
                results[name].wws.extend(samples)
    return list(results.values())
