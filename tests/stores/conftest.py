from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.contract import STORES
from tests.support.clock import FakeClock
from wws.stores import Store


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    """Each of the stores, empty, on a clock that stands still."""
    opened = STORES[request.param](tmp_path, clock)
    yield opened
    opened.close()
