"""The wall's fixtures, and the table of what was seen: printed at the end, and written to the file that FAULTS_TABLE names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Wall]]:
    """Gateways with other `[attempts]` and another `first_token`; each is started once."""
    with ExitStack() as stack:
        walls: dict[tuple[str, str], Wall] = {}

        def make(attempts: str, first_token: str) -> Wall:
            if (attempts, first_token) not in walls:
                around = stack.enter_context(Neighbours())
                toml = project(around).replace('first_token = "1500ms"', f'first_token = "{first_token}"')
                toml = toml.replace('first_byte = "1s"', f'first_byte = "{first_token}"')
                toml = toml.replace("retry_floor = 1000", f"retry_floor = 1000\n{attempts}")
                gateway = stack.enter_context(Gateway(tmp_path_factory.mktemp("slow"), toml, env=SECRETS))
                wall = walls[attempts, first_token] = Wall(gateway, around)
                stack.callback(wall.client.close)
                stack.callback(wall.buffered.close)
            return walls[attempts, first_token]

        yield make


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
