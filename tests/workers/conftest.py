"""Fixtures: gateways of several workers, and a provider that is slow where a test needs time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway

Begin: TypeAlias = Callable[..., Gateway]

PROJECT = """\
name = "crew"
[server]
listen = "127.0.0.1:{port}"
admin = "127.0.0.1:0"
workers = {workers}
{server}
[kv]
store = "lmdb:./state"
[providers.sandbox]
[providers.slow]
kind = "openai"
base_url = "{url}"
{provider}
[models]
code = ["sandbox/coder"]
reasoning = ["sandbox/thinker"]
long_context = ["sandbox/reader"]
paced = ["slow/paced"]
endless = ["slow/endless"]
waiting = ["slow/waiting"]
[limits]
"/api/ai/chat" = "{limit}"
address = "off"
[[routes]]
path = "/api/ai/*"
to = "ai"
{more}
"""


@pytest.fixture(scope="session")
def _around() -> Iterator[Neighbours]:
    with Neighbours() as around:
        yield around


@pytest.fixture
def around(_around: Neighbours) -> Neighbours:
    """The neighbours, all of them well."""
    _around.reset()
    return _around


@pytest.fixture
def begin(tmp_path: Path, around: Neighbours) -> Iterator[Begin]:
    """`begin(workers=2)` starts a gateway of the test's own, which ends with it."""
    with ExitStack() as stack:

        def start(
            workers: object = 2,
            *,
            limit: str = "1000000/min",
            port: int = 0,
            server: str = "",
            more: str = "",
            provider: str = "",
            folder: str = "crew",
        ) -> Gateway:
            toml = PROJECT.format(
                workers=workers, limit=limit, port=port, server=server, more=more, url=around.main.url, provider=provider
            )
            return stack.enter_context(Gateway(tmp_path / folder, toml))

        yield start
