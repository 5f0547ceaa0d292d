"""Worker processes as their parent sees them, and when one that has ended is started again."""

from __future__ import annotations

import asyncio
import signal

from wws.hosts.server.channel import Channel
from wws.observe.merge import Snapshot

__all__ = ["HEALTHY", "LONGEST_DELAY", "Worker", "how", "restart_delay"]

HEALTHY = 10.0
"""Seconds that a worker must have lived for its end to count as the first one."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
"""Seconds before the second restart in a row; doubled with each further one, up to the longest."""


def restart_delay(failures: int) -> float:
    """Seconds to wait before a worker is started again that has ended `failures` times in a row: at first none."""
    return 0.0 if failures <= 1 else min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (failures - 2))


class Worker:
    """One worker process, as its parent sees it: `starting`, `ready`, `leaving` or `failed`."""

    def __init__(self, number: int, seat: int, pid: int, since: float) -> None:
        self.number = number
        self.seat = seat
        self.pid = pid
        self.since = since
        self.state = "starting"
        self.channel: Channel | None = None
        self.descriptor = -1
        self.counts: Snapshot = []
        self.became_ready = asyncio.Event()
        """Set when it is ready, and when it ends without."""


def how(ended: int) -> str:
    """In words, the exit code of a process (`os.waitstatus_to_exitcode`)."""
    return f"was ended by {signal.Signals(-ended).name}" if ended < 0 else f"ended with status {ended}"
