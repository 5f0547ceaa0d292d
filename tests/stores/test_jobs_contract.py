from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.jobs_contract import JOBS, ClaimsContract, Jobs, QueuesContract
from tests.support.clock import FakeClock


@pytest.fixture(params=JOBS)
def jobs(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Jobs]:
    """Each of the stores, empty, on a clock that stands still."""
    opened = JOBS[request.param](tmp_path, clock)
    yield opened
    opened.close()


class TestClaims(ClaimsContract):
    """On every store."""


class TestQueues(QueuesContract):
    """On every store."""
