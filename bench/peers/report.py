"""The table of peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.table import Table

from bench.measure import STREAMS, Sample, summary
from bench.report import markdown_table

__all__ = ["COLUMNS", "Row", "cells", "markdown", "table"]

COLUMNS = (
    "gateway",
    "release",
    "written in",
    "auth",
    "CPU per chat",
    "x nginx",
    "chats/s",
    "p50 / p99 ms",
    "CPU per event",
    "memory",
)


@dataclass(slots=True)
class Row:
    """One gateway: its samples, nginx's of the same rounds, its streams, and why what is missing is missing.

    `every_ms` is the interval at which each of its streams was sent events.
    """

    name: str
    version: str
    language: str
    auth: str
    chats: list[Sample] = field(default_factory=list)
    nginx: list[Sample] = field(default_factory=list)
    events: list[Sample] = field(default_factory=list)
    every_ms: int = 0
    memory: float | None = None
    reasons: list[str] = field(default_factory=list)


def _microseconds(value: float) -> str:
    return f"{value:,.0f} us" if value >= 100 else f"{value:.1f} us"


def _events(row: Row) -> str:
    if not row.events:
        return "none"
    found = summary(row.events)
    sent = STREAMS * 1000 / row.every_ms
    behind = found.rate is not None and found.rate < 0.9 * sent
    return _microseconds(found.value) + (f" (behind: {found.rate:,.0f} of {sent:,.0f} a second)" if behind else "")


def cells(row: Row) -> tuple[str, ...]:
    """One row as text, in the order of COLUMNS."""
    about = (row.name, row.version, row.language, row.auth)
    memory = f"{row.memory:.0f} MB" if row.memory is not None else ""
    if not row.chats:
        return (*about, "not measured", "", "", "", _events(row) if row.events else "", memory)
    chat = summary(row.chats)
    ratio = summary([Sample(own.value / nginx.value) for own, nginx in zip(row.chats, row.nginx, strict=True)]).value
    assert chat.rate is not None and chat.p50 is not None and chat.p99 is not None
    latency = f"{chat.p50:.1f} / {chat.p99:.1f}"
    return (*about, _microseconds(chat.value), f"{ratio:,.1f} x", f"{chat.rate:,.0f}", latency, _events(row), memory)


def table(rows: Sequence[Row]) -> Table:
    """For the terminal."""
    out = Table(title="The same chat through other gateways")
    for column in COLUMNS:
        out.add_column(column)
    for row in rows:
        out.add_row(*cells(row))
    return out


_HOW = """\
One worker each, pinned to one core; load and mock on the other; the mock, the 1 KB chat and the client are those of
`make bench`. CPU is user and system time of the gateway's processes from `/proc`, divided by requests or events; chats/s is
what the core gave with 32 connections. Between a gateway's rounds nginx `proxy_pass` is measured again, and the ratio is the
median of the pairs. Streams: 32 at a fixed interval that leaves the gateway unsaturated; CPU per event is their share.
Memory is resident, after the load. Logging is turned down to errors and nothing is fetched from outside at start."""


def markdown(rows: Sequence[Row], facts: dict[str, str], rounds: int, seconds: float, now: datetime | None = None) -> str:
    """The whole results.md, with a list of what could not be measured and why."""
    when = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")
    reasons = [f"- {row.name}: {reason}" for row in rows for reason in row.reasons]
    missing = ["## Not measured, and why", "\n".join(reasons)] if reasons else []
    about = [("measured", when), *facts.items(), ("rounds", f"{rounds} of {seconds:g} s each; medians")]
    parts = [
        "# The same chat through other gateways",
        "Written by `make bench-peers`.",
        markdown_table(COLUMNS, [cells(row) for row in rows]),
        _HOW,
        *missing,
        markdown_table(("fact", "value"), about),
    ]
    return "\n\n".join(parts) + "\n"
