"""Fixtures: the neighbours, and each chosen host with the same project. A host is started when its first scenario comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.neighbours import Neighbours
from tests.project.functions.write import write
from tests.scenarios.functions import FILES
from tests.scenarios.hosts import Host, chosen, host_class
from tests.scenarios.project import ENVIRONMENT, project


class Running:
    """The hosts that run, by name."""

    def __init__(self, around: Neighbours, folder: Path, stack: ExitStack) -> None:
        self._around = around
        self._folder = folder
        self._stack = stack
        self._hosts: dict[str, Host] = {}

    def host(self, name: str) -> Host:
        """The host of this name, started if it does not run yet."""
        if name not in self._hosts:
            made = host_class(name)
            folder, toml = self._folder / name, project(self._around, made.own)
            write(folder / "functions", FILES)
            self._hosts[name] = self._stack.enter_context(made(folder, toml, ENVIRONMENT))
        return self._hosts[name]


@pytest.fixture(scope="session")
def _around() -> Iterator[Neighbours]:
    with Neighbours() as around:
        yield around


@pytest.fixture(scope="session")
def _running(_around: Neighbours, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with ExitStack() as stack:
        yield Running(_around, tmp_path_factory.mktemp("scenarios"), stack)


@pytest.fixture
def around(_around: Neighbours) -> Neighbours:
    """The neighbours, all of them well."""
    _around.reset()
    return _around


@pytest.fixture(params=chosen())
def host(request: pytest.FixtureRequest, _running: Running, around: Neighbours) -> Host:
    """The host to ask. Each scenario has users and paths of its own, so none sees another's limits, sessions or answers."""
    return _running.host(request.param)


@pytest.fixture
def token(around: Neighbours) -> str:
    """The access token of a user of this scenario."""
    return around.supabase.mint()
