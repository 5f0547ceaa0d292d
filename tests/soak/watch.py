"""What the gateway's processes hold, as the kernel and the gateway itself say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["Gauges", "Sample", "look", "parse_gauges", "tree"]

_NAMES = ("wws_tasks", "wws_connections_open", "wws_upstream_connections_open", "wws_requests_active")


class Gauges(NamedTuple):
    """Of `/metrics`: all workers together."""

    tasks: float
    connections: float
    upstream: float
    active: float


class Sample(NamedTuple):
    """One look, `at` seconds after the start. `memory` are the bytes the processes have for themselves (RssAnon), `resident`
    all that is theirs or mapped (VmRSS), both of all processes together."""

    at: float
    memory: int
    resident: int
    descriptors: int
    gauges: Gauges

    @property
    def lasting(self) -> float:
        """Descriptors that are no connections."""
        return self.descriptors - self.gauges.connections - self.gauges.upstream


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            found += tree(int(child))
    return found


def parse_gauges(text: str) -> Gauges:
    """The sums of the series of each gauge in Prometheus' text."""
    return Gauges(
        *[sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)) for name in _NAMES]
    )


def look(at: float, pid: int, metrics: str) -> Sample:
    """A sample of a running gateway. A process that ends meanwhile counts nothing."""
    memory = resident = descriptors = 0
    for one in tree(pid):
        try:
            status = Path(f"/proc/{one}/status").read_text()
            descriptors += len(list(Path(f"/proc/{one}/fd").iterdir()))
        except OSError:
            continue
        memory += _bytes(status, "RssAnon")
        resident += _bytes(status, "VmRSS")
    return Sample(at, memory, resident, descriptors, parse_gauges(metrics))


def _bytes(status: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
