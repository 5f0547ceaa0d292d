"""A short run in the servers beside uvicorn, on which all scenarios run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.ask import ask, hello
from tests.e2e.neighbours import Neighbours
from tests.scenarios.hosts import Host, host_class
from tests.scenarios.project import ENVIRONMENT, project
from tests.support.provider import ECHO


@pytest.fixture(scope="module")
def around() -> Iterator[Neighbours]:
    with Neighbours() as neighbours:
        yield neighbours


@pytest.fixture(params=["hypercorn", "granian"])
def host(request: pytest.FixtureRequest, around: Neighbours, tmp_path: Path) -> Iterator[Host]:
    made = host_class(request.param)
    with made(tmp_path, project(around, made.own), ENVIRONMENT) as running:
        yield running


def test_a_session_a_stream_and_a_refusal(host: Host, around: Neighbours) -> None:
    token = around.supabase.mint()
    whole = ask(host.url, "/v1/chat/completions", token=token, body=hello(model="code"))
    assert whole.json["choices"][0]["message"]["content"] == ECHO + "Hello"
    streamed = ask(host.url, "/v1/chat/completions", token=token, body=hello(model="code", stream=True))
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    assert ask(host.url, "/private/page").status == 401
    assert ask(host.url, "/private/page", token=token).status == 200
