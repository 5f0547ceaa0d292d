"""Everything here runs on uvloop and on asyncio's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.hosts.server.built import wire
from wws.hosts.server import exchange, outgoing, reading

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(params=["parser", "native"])
def heads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once as it is without a C compiler, once with."""
    native = request.param == "native"
    monkeypatch.setattr(reading, "_read", wire().request if native else None)
    monkeypatch.setattr(exchange, "_read", wire().response if native else None)
    monkeypatch.setattr(outgoing, "_write", wire().answer if native else None)
