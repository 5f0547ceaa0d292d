"""What the measuring process asks of the system before it starts."""

from __future__ import annotations

import resource
import signal
from types import FrameType
from typing import NoReturn

from bench.machine import pin_self

__all__ = ["prepare"]


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def prepare() -> None:
    """Binds this process to the load's core, opens as many files as allowed (it and what it starts hold 500 streams), and
    makes SIGTERM an orderly end, so that everything started is ended too."""
    signal.signal(signal.SIGTERM, _terminated)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pin_self()
