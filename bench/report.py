"""The table: for the terminal and for results.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.table import Table

from bench.measure import Plan, Result, Sample, summary
from bench.shapes import Shape

__all__ = ["Line", "line", "markdown", "markdown_table", "table", "verdict"]

_COLUMNS = ("shape", "WWS", "nginx", "ratio", "budget", "aim", "verdict", "requests/s, WWS / nginx", "p50 / p99 ms, WWS", "nginx")


@dataclass(frozen=True, slots=True)
class Line:
    """One row as text, in the order of the columns."""

    cells: tuple[str, ...]
    verdict: str


def verdict(figure: float, shape: Shape) -> str:
    """`aim` reached, within `budget`, or `over` it; nothing where the shape has no budget."""
    if shape.budget is None:
        return ""
    if shape.aim is not None and figure <= shape.aim:
        return "aim"
    return "budget" if figure <= shape.budget else "OVER"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _limit(value: float | None, shape: Shape) -> str:
    if value is None:
        return ""
    return f"{value:.1f} x" if shape.kind == "ratio" else f"{value:g} {shape.unit}"


def _pair(sample: Sample | None) -> str:
    if sample is None or sample.p50 is None or sample.p99 is None:
        return ""
    return f"{sample.p50:.2f} / {sample.p99:.2f}"


def _rates(wws: Sample, nginx: Sample | None) -> str:
    parts = [sample.rate for sample in (wws, nginx) if sample is not None and sample.rate is not None]
    return " / ".join(f"{rate:,.0f}" for rate in parts)


def ratio(result: Result) -> float:
    """The median over the rounds of WWS's cost divided by nginx's in the same round."""
    pairs = zip(result.wws, result.nginx, strict=True)
    return summary([Sample(wws.value / nginx.value) for wws, nginx in pairs]).value


def line(result: Result) -> Line:
    """One row; of a shape that failed, one that says so. Raises `ValueError` when nothing was measured."""
    shape = result.shape
    if result.fault is not None:
        cells = (shape.title, "not measured", "", "", _limit(shape.budget, shape), _limit(shape.aim, shape), "FAULT", "", "", "")
        return Line(cells, "FAULT")
    if not result.wws:
        raise ValueError(f"{shape.name} was not measured")
    wws = summary(result.wws)
    nginx = summary(result.nginx) if result.nginx else None
    relative = ratio(result) if shape.kind == "ratio" else None
    judged = verdict(wws.value if relative is None else relative, shape)
    cells = (
        shape.title,
        f"{_number(wws.value)} {shape.unit}",
        f"{_number(nginx.value)} {shape.unit}" if nginx else "",
        f"{relative:.2f} x" if relative is not None else "",
        _limit(shape.budget, shape),
        _limit(shape.aim, shape),
        judged,
        _rates(wws, nginx),
        _pair(wws),
        _pair(nginx),
    )
    return Line(cells, judged)


_COLOURS = {"aim": "green", "budget": "yellow", "OVER": "red", "FAULT": "red"}


def table(results: list[Result]) -> Table:
    """For the terminal."""
    out = Table(title="CPU per request or event (us), and the rest of the budget")
    for number, column in enumerate(_COLUMNS):
        out.add_column(column, justify="left" if number == 0 else "right")
    for row in map(line, results):
        out.add_row(*row.cells, style=_COLOURS.get(row.verdict))
    return out


def markdown_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


_HOW = """\
CPU is user and system time of the server's processes from `/proc`, divided by the requests (or relayed events) of the
run; a ratio is the median over the rounds of WWS divided by nginx in the same round. wrk keeps 32 connections busy in a
closed loop, so the rate is that of a saturated core and its p50 / p99 are those of a full queue. The latency rows are an
open loop: 1,000 requests/s, timed from when each was due, minus the same sent to the mock directly (their last two
columns are the whole latency). Everything is on: session or key, limiter, routing, metrics, ledger, a log line for each
request into a file (one row is without it); LMDB store. nginx has its access log off. Streams: 32 at one event per 2 ms;
for memory 500 at one per second."""


def markdown(results: list[Result], facts: dict[str, str], plan: Plan, now: datetime | None = None) -> str:
    """The whole results.md."""
    when = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")
    about = [("measured", when), *facts.items(), ("rounds", f"{plan.rounds} of {plan.seconds:g} s each, interleaved; medians")]
    faults = [f"- {result.shape.name}: {result.fault}" for result in results if result.fault is not None]
    parts = [
        "# What WWS costs, beside nginx",
        "Written by `make bench`.",
        markdown_table(_COLUMNS, [line(result).cells for result in results]),
        _HOW,
        *(["## Not measured, and why", "\n".join(faults)] if faults else []),
        markdown_table(("fact", "value"), about),
    ]
    return "\n\n".join(parts) + "\n"
