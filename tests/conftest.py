"""What every test gets: a blocked event loop fails it, and so does a warning (pyproject.toml)."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from tests.support.clock import FakeClock

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as for a shell's background jobs, and for all that is started by them
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_blocking_calls() -> Iterator[BlockBuster]:
    """Any blocking call made by wws inside a running event loop raises."""
    with blockbuster_ctx("wws") as blockbuster:
        yield blockbuster


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
