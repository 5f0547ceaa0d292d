"""What the measuring process asks of the system before it starts."""

from __future__ import annotations

import os
import resource
import signal
import sys
from types import FrameType
from typing import NoReturn

from bench.machine import pin_self

__all__ = ["prepare"]

_QUIET = 0.5
"""Load average up to which the machine counts as quiet. Busy neighbours empty the caches: nginx itself then costs half as
much again, and WWS more, so that not even the ratios hold."""


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def prepare() -> None:
    """Binds this process to the load's core, opens as many files as allowed (it and what it starts hold 500 streams), and
    makes SIGTERM an orderly end, so that everything started is ended too. Warns when the machine is not quiet."""
    load = os.getloadavg()[0]
    if load > _QUIET:
        print(f"bench: the load average is {load:.2f}: others are at work, and the figures will be too high", file=sys.stderr)
    signal.signal(signal.SIGTERM, _terminated)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pin_self()
