"""Fixtures: the neighbours and one gateway for the whole run, more gateways for tests that need their own configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway
from tests.e2e.projects import SECRETS, project

Start: TypeAlias = Callable[..., Gateway]


@pytest.fixture(scope="session")
def _neighbours() -> Iterator[Neighbours]:
    with Neighbours() as around:
        yield around


@pytest.fixture
def around(_neighbours: Neighbours) -> Neighbours:
    """The neighbours, all of them well."""
    _neighbours.reset()
    return _neighbours


@pytest.fixture(scope="session")
def _gateway(_neighbours: Neighbours, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway"), project(_neighbours), env=SECRETS) as gateway:
        yield gateway


@pytest.fixture
def gateway(_gateway: Gateway, around: Neighbours) -> Gateway:
    """The gateway that most tests share. Each test has users of its own, so none sees another's limits or sessions."""
    return _gateway


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(toml)` starts a gateway of the test's own, which ends with it."""
    with ExitStack() as stack:
        number = iter(range(100))

        def begin(toml: str, env: dict[str, str] | None = None, command: tuple[str, ...] = ("serve",)) -> Gateway:
            return stack.enter_context(Gateway(tmp_path / f"project{next(number)}", toml, command, {**SECRETS, **(env or {})}))

        yield begin


@pytest.fixture
def token(around: Neighbours) -> str:
    """The access token of a user of this test."""
    return around.supabase.mint()


@pytest.fixture
def openai(gateway: Gateway, token: str) -> Iterator[OpenAI]:
    """OpenAI's client as its documentation has it, but for the address."""
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=token) as client:
        yield client


@pytest.fixture
def anthropic(gateway: Gateway, token: str) -> Iterator[Anthropic]:
    """Anthropic's client as its documentation has it, but for the address."""
    with Anthropic(base_url=gateway.url, api_key=token) as client:
        yield client
