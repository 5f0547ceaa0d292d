"""The budget table: what is measured, against what, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["SHAPES", "Kind", "Shape", "select"]

Kind = Literal["ratio", "exact", "latency", "memory", "idle", "start"]


@dataclass(frozen=True, slots=True)
class Shape:
    """One row. A `ratio` shape compares CPU of two targets of `bench.world`; the others have limits of their own unit.

    `budget` and `aim` None: measured for the reader, judged by nobody.
    """

    name: str
    title: str
    kind: Kind = "ratio"
    unit: str = "us"
    wws: str = ""
    nginx: str = ""
    budget: float | None = None
    aim: float | None = None


SHAPES = (
    Shape("chat", "proxied chat, 1 KB, session cached", wws="wws-chat", nginx="proxy", budget=2.0, aim=1.5),
    Shape("chat-key", "the same with an API key", wws="wws-chat-key", nginx="proxy", budget=2.0, aim=1.5),
    Shape("chat-quiet", "the same, session, without the log line", wws="wws-chat-quiet", nginx="proxy"),
    Shape("workers", "the same, session, 2 workers on one LMDB store", wws="wws-chat-workers", nginx="proxy"),
    Shape("redis", "the same, session, store in Redis", wws="wws-chat-redis", nginx="proxy"),
    Shape("assembled", "the same, put together from 60 streamed tokens", wws="wws-assembled", nginx="proxy"),
    Shape("cache", "answer from cache", wws="wws-cache", nginx="return", budget=3.0, aim=2.0),
    Shape("function", "a hello function", wws="wws-function", nginx="return", budget=3.0, aim=2.0),
    Shape("function-task", "the same, of code that needs an asyncio task", wws="wws-function-task", nginx="return"),
    Shape("refuse-401", "refusal, 401: unknown key", wws="wws-401", nginx="refuse", budget=2.5, aim=1.5),
    Shape("refuse-429", "refusal, 429: over the limit", wws="wws-429", nginx="refuse", budget=2.5, aim=1.5),
    Shape("sse", "SSE, per event", wws="wws-sse", nginx="sse", budget=1.4, aim=1.1),
    Shape("prompt-200k", "a 200 KB prompt", wws="wws-prompt", nginx="proxy-200k", budget=1.3, aim=1.1),
    Shape("exact", "let through beyond a limit, 1 worker", kind="exact", unit="too many", wws="wws-exact", budget=0.0, aim=0.0),
    Shape(
        "exact-workers",
        "let through beyond a limit, 2 workers",
        kind="exact",
        unit="too many",
        wws="wws-exact-workers",
        budget=0.0,
        aim=0.0,
    ),
    Shape("exact-redis", "let through beyond a limit, Redis", "exact", "too many", "wws-exact-redis", budget=0.0, aim=0.0),
    Shape("latency-p50", "latency added at 1,000 requests/s, p50", kind="latency", unit="ms", budget=0.1, aim=0.05),
    Shape("latency-p99", "latency added at 1,000 requests/s, p99", kind="latency", unit="ms", budget=1.0, aim=0.5),
    Shape("memory", "memory per open stream", kind="memory", unit="KB", budget=25.0, aim=15.0),
    Shape("idle", "memory of an idle worker", kind="idle", unit="MB", budget=70.0, aim=50.0),
    Shape("start", "`wws serve` from start to first answer", kind="start", unit="s", budget=0.5, aim=0.3),
)


def select(names: list[str]) -> tuple[Shape, ...]:
    """The shapes so named, or, where none is, whose names start so (`latency`, `refuse`); all when there is no name.

    Raises `ValueError` naming those there are when one fits nothing.
    """
    if not names:
        return SHAPES
    chosen: set[str] = set()
    for name in names:
        fits = {shape.name for shape in SHAPES if shape.name == name} or {s.name for s in SHAPES if s.name.startswith(name)}
        if not fits:
            raise ValueError(f"no shape is called {name}; there are {', '.join(shape.name for shape in SHAPES)}")
        chosen |= fits
    return tuple(shape for shape in SHAPES if shape.name in chosen)
