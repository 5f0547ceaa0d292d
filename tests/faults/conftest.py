"""The wall's fixtures, and the table of what was seen: printed at the end, and written to the file that FAULTS_TABLE names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway
from tests.e2e.projects import SECRETS
from tests.faults.table import Row, page, rows
from tests.faults.wall import Result, Wall, project

SEEN: list[Row] = []


@pytest.fixture(scope="session")
def wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wall]:
    """One gateway for all faults: what one leaves behind, the next would meet."""
    with Neighbours() as around, Gateway(tmp_path_factory.mktemp("faults"), project(around), env=SECRETS) as gateway:
        wall = Wall(gateway, around)
        yield wall
        wall.client.close()
        wall.buffered.close()


Note = Callable[[str, bool, Result], None]


@pytest.fixture
def note() -> Note:
    """Writes a line of the table: the fault, whether it was a stream, what the caller saw."""

    def write(fault: str, stream: bool, result: Result) -> None:
        SEEN.append(Row(fault, stream, result))

    return write


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not SEEN:
        return
    terminalreporter.write_line("")
    for line in rows(SEEN):
        terminalreporter.write_line(line)
    file = os.environ.get("FAULTS_TABLE")
    if file is not None:
        Path(file).write_text(page(SEEN))
