"""Streams: every event at once, usage seen, an end that is told, a caller who leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.ask import ask, hello
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import until
from tests.scenarios.hosts import Host
from tests.scenarios.stream import Paced, events, opened
from tests.support.provider import ECHO, USAGE

CHAT = "/v1/chat/completions"


def data(event: bytes) -> Any:
    """The value of an event."""
    return json.loads(event.removeprefix(b"data: "))


def said(chunks: list[bytes]) -> str:
    """The text of a stream's events."""
    deltas = [choice["delta"] for event in chunks for choice in data(event).get("choices", [])]
    return "".join([delta.get("content") or "" for delta in deltas])


def test_a_stream(host: Host, token: str) -> None:
    with opened(host.url, CHAT, token, hello(model="code", stream=True)) as response:
        assert (response.status, response.headers["x-wws-attempts"]) == (200, "1")
        assert (response.headers["content-type"] or "").startswith("text/event-stream")
        received = list(events(response))
    assert received[-1] == b"data: [DONE]"
    assert said(received[:-1]) == ECHO + "Hello"


def test_each_event_comes_before_the_next_is_sent(host: Host, token: str, around: Neighbours) -> None:
    model = f"paced-{token[-8:]}"
    pace = Paced(around)
    around.main.script(model, pace)
    text = "one two three four"
    pace.go(2)  # the first event says only the role: nothing of an answer is sent before its first token
    with opened(host.url, CHAT, token, hello(text, model=f"main/{model}", stream=True)) as response:
        received = []
        for event in events(response):
            received.append(event)
            if len(received) >= 2:
                pace.go()
    assert received[-1] == b"data: [DONE]"
    assert said(received[:-1]) == ECHO + text


def test_usage_for_those_who_ask(host: Host, token: str) -> None:
    with opened(host.url, CHAT, token, hello(model="code", stream=True, stream_options={"include_usage": True})) as response:
        usages = [data(event).get("usage") for event in list(events(response))[:-1]]
    assert usages[-1] == USAGE


def test_no_usage_for_those_who_do_not(host: Host, token: str) -> None:
    with opened(host.url, CHAT, token, hello(model="code", stream=True)) as response:
        assert all(data(event).get("usage") is None for event in list(events(response))[:-1])


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "short"])
def test_a_stream_that_breaks_off_is_told_of(host: Host, token: str, around: Neighbours, cut: bool) -> None:
    model = f"breaks-{token[-8:]}"
    pace = Paced(around, 4, cut=cut)
    around.main.script(model, pace)
    pace.go(4)
    with opened(host.url, CHAT, token, hello("one two three four", model=f"main/{model}", stream=True)) as response:
        coming = events(response)
        received = [next(coming), next(coming)]
        pace.go()
        received += coming
    errors = [data(event)["error"]["code"] for event in received if b'"error"' in event]
    assert errors == ["upstream_disconnect"]
    assert b"data: [DONE]" not in received


def test_a_caller_who_leaves_ends_the_provider_s_work(host: Host, token: str, around: Neighbours) -> None:
    model = f"left-{token[-8:]}"
    pace = Paced(around)
    around.main.script(model, pace)
    pace.go(3)
    with opened(host.url, CHAT, token, hello("one two three four", model=f"main/{model}", stream=True)) as response:
        next(events(response))
    until(lambda: pace.left, "the end of the upstream connection", 10.0)
    assert around.main.seen(model) == 1, "nobody asked again for a caller who has left"


def test_an_anthropic_stream(host: Host, token: str) -> None:
    with opened(host.url, "/v1/messages", token, hello(model="main/claude", max_tokens=9, stream=True)) as response:
        names = [event.split(b"\n")[0] for event in events(response)]
    assert (names[0], names[-1]) == (b"event: message_start", b"event: message_stop")


def test_a_plain_answer_is_put_together(host: Host, token: str, around: Neighbours) -> None:
    answer = ask(host.url, CHAT, token=token, body=hello(model="code"))
    assert (answer.json["object"], answer.json["usage"]) == ("chat.completion", USAGE)
    assert around.main.requests[-1].json["stream"] is True
