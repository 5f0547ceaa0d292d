"""Providers that are slow to begin: heads sent early, and second routes asked beside the first."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.faults.scripts import TEXT, good, said
from tests.faults.wall import HELLO, Result, Wall
from tests.support.provider import Behaviour, Exchange, silent, status

Note = Callable[[str, bool, Result], None]
Slow = Callable[[str, str], Wall]
COMMIT = 'commit_after = "500ms"'
HEDGE = 'hedge_after = "300ms"'
used: list[Wall] = []


@pytest.fixture(autouse=True)
def _well() -> Iterator[None]:
    yield
    while used:
        used.pop().is_well()


def after(seconds: float) -> Behaviour:
    """A good answer, so late."""

    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await good(exchange)

    return behave


def ready(slow: Slow, attempts: str, first_token: str, model: str, first: Behaviour, second: Behaviour) -> Wall:
    wall = slow(attempts, first_token)
    used.append(wall)
    wall.around.main.script(model, first)
    wall.around.backup.script("f" + model[1:], second)
    return wall


def test_s01_the_head_comes_early_and_the_answer_later(slow: Slow, note: Note) -> None:
    wall = ready(slow, COMMIT, "60s", "s07", after(3), good)
    result = wall.ask("s07", True)
    note("S01", True, result._replace(provider="main"))  # the head was sent before anybody had answered
    assert (result.error, result.text, result.finish) == (None, TEXT, "stop")
    assert 2.5 < result.seconds < 6
    assert (result.provider, result.attempts) == (None, 1)
    assert result.usage.completion_tokens == 60


def test_what_comes_before_the_answer_are_comments(slow: Slow) -> None:
    wall = ready(slow, COMMIT, "60s", "s06", after(2), good)
    connection = HTTPConnection(urlsplit(wall.gateway.url).netloc, timeout=20)
    started = time.monotonic()
    connection.request(
        "POST",
        "/v1/chat/completions",
        json.dumps({"model": "s06", "messages": HELLO, "stream": True}),
        {"authorization": f"Bearer {wall.token}", "content-type": "application/json"},
    )
    response = connection.getresponse()
    assert time.monotonic() - started < 1.8, "the head is sent before the answer"
    assert (response.status, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    body = response.read()
    connection.close()
    assert body.startswith(b": ping\n\ndata: ")
    assert said(body) == TEXT
    assert body.endswith(b"data: [DONE]\n\n")
    line = wall.gateway.logged(response.headers["x-request-id"])
    assert (line["status"], line["provider"], line["error_type"]) == (200, "main", None)


def test_s02_a_failure_after_the_head_is_told_in_the_stream(slow: Slow, note: Note) -> None:
    wall = ready(slow, COMMIT, "1s", "s08", silent, silent)
    result = wall.ask("s08", True)
    note("S02", True, result)
    assert (result.error, result.finish, result.text) == ("provider_timeout", None, "")
    assert result.attempts == 2
    assert result.seconds < 5


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_s03_the_second_route_answers_first(slow: Slow, note: Note, stream: bool) -> None:
    model = "s09" if stream else "f09"
    wall = ready(slow, HEDGE, "60s", model, after(20), good)
    result = wall.ask(model, stream)
    note("S03", stream, result)
    assert (result.error, result.text, result.provider) == (None, TEXT, "backup")
    assert result.attempts == 2
    assert result.seconds < 5


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_s04_the_first_route_answers_although_the_second_fails(slow: Slow, note: Note, stream: bool) -> None:
    model = "s10" if stream else "f10"
    wall = ready(slow, HEDGE, "60s", model, after(1), status(503))
    result = wall.ask(model, stream)
    note("S04", stream, result)
    assert (result.error, result.text, result.provider) == (None, TEXT, "main")
    assert result.attempts == 2


def test_a_caller_who_leaves_before_the_answer_is_noticed_upstream(slow: Slow) -> None:
    """The head is out, nothing else is: the provider's connection is closed all the same."""
    wall = ready(slow, COMMIT, "60s", "s11", silent, good)
    connection = HTTPConnection(urlsplit(wall.gateway.url).netloc, timeout=20)
    body = json.dumps({"model": "s11", "messages": HELLO, "stream": True})
    connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {wall.token}"})
    response = connection.getresponse()
    response.close()
    connection.close()
    line = wall.gateway.logged(response.headers["x-request-id"])
    assert (line["outcome"], line["error_type"]) == ("client_closed", "caller_cancelled")
