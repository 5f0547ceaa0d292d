"""CPU time and memory of a process tree, from /proc (proc(5)).

CPU time comes in clock ticks (10 ms on Linux), so a difference is worth something after some seconds of load.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ["Stat", "cpu_seconds", "descendants", "parse_stat", "rss_bytes"]

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGESIZE")
_PROC = Path("/proc")


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that are read here. `ticks` is user and system time, own and of children waited for."""

    pid: int
    parent: int
    ticks: int
    pages: int


def parse_stat(text: str) -> Stat:
    """One /proc/PID/stat. The second field is the command in parentheses and may hold spaces and parentheses itself."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()  # from field 3, the state: field N of proc(5) is at N - 3
    return Stat(
        pid=int(head.partition(" ")[0]),
        parent=int(fields[1]),
        ticks=sum(map(int, fields[11:15])),  # utime, stime, cutime, cstime: fields 14 to 17
        pages=int(fields[21]),  # rss: field 24
    )


def _all() -> dict[int, Stat]:
    stats = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = parse_stat((entry / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended while we looked
            stats[stat.pid] = stat
    return stats


def descendants(root: int, stats: dict[int, Stat]) -> list[Stat]:
    """The process `root` and everything below it that is still there."""
    children: dict[int, list[int]] = {}
    for stat in stats.values():
        children.setdefault(stat.parent, []).append(stat.pid)
    found: list[Stat] = []
    pending = [root]
    while pending:
        pid = pending.pop()
        if pid in stats:
            found.append(stats[pid])
            pending.extend(children.get(pid, ()))
    return found


def cpu_seconds(root: int) -> float:
    """CPU used so far by the process, its living descendants and the children they have waited for."""
    return sum(stat.ticks for stat in descendants(root, _all())) * _TICK


def rss_bytes(root: int) -> int:
    """Resident memory of the process and its living descendants, shared pages counted in each."""
    return sum(stat.pages for stat in descendants(root, _all())) * _PAGE
