"""SIGTERM: the end of a gateway, and of its streams."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from typing import Any

import pytest

from tests.e2e.ask import Answer, ask, hello
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until
from tests.workers.behaviours import endless, paced, waiting
from tests.workers.conftest import Begin
from tests.workers.load import pids

CHAT = "/api/ai/chat"


def asked(gateway: Gateway, key: str, into: list[Answer], **members: Any) -> threading.Thread:
    """Asks beside the test."""
    thread = threading.Thread(target=lambda: into.append(ask(gateway.url, CHAT, token=key, body=hello(**members))))
    thread.start()
    return thread


def refused(gateway: Gateway) -> bool:
    with socket.socket() as probe:
        host, port = gateway.url.removeprefix("http://").split(":")
        return probe.connect_ex((host, int(port))) != 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stream_has_time_to_finish(begin: Begin, around: Neighbours, workers: int) -> None:
    around.main.script("paced", paced)
    gateway = begin(workers)
    key = gateway.create_key()["key"]
    answers: list[Answer] = []
    asking = [asked(gateway, key, answers, model="paced", stream=True) for _ in range(4)]
    until(lambda: around.main.seen("paced") == 4, "the questions")
    process = gateway.process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    until(lambda: refused(gateway), "the end of listening")
    for thread in asking:
        thread.join(20)
    assert process.wait(20) == 0
    gateway.process = None
    assert [answer.status for answer in answers] == [200] * 4
    for answer in answers:
        assert answer.body.endswith(b"data: [DONE]\n\n") and b'"error"' not in answer.body


@pytest.mark.parametrize("workers", [1, 2])
def test_after_the_grace_a_stream_ends_with_an_error_and_the_rest_with_503(
    begin: Begin, around: Neighbours, workers: int
) -> None:
    around.main.script("endless", endless)
    around.main.script("waiting", waiting)
    gateway = begin(workers, server='grace = "1s"')
    key = gateway.create_key()["key"]
    streams: list[Answer] = []
    plain: list[Answer] = []
    asking = [
        *[asked(gateway, key, streams, model="endless", stream=True) for _ in range(3)],
        asked(gateway, key, plain, model="waiting"),
    ]
    until(lambda: around.main.seen("endless") == 3 and around.main.seen("waiting") == 1, "the questions")
    process = gateway.process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    for thread in asking:
        thread.join(20)
    assert process.wait(20) == 0
    gateway.process = None
    assert len(streams) == 3
    for answer in streams:
        assert answer.status == 200
        events = [line[6:] for line in answer.body.decode().splitlines() if line.startswith("data: ")]
        error = json.loads(events[-1])["error"]
        assert error == {
            "message": "The gateway was stopped before the answer was complete. Ask again.",
            "type": "overloaded", "param": None, "code": "overloaded",
        }  # fmt: skip
        assert b"[DONE]" not in answer.body and b'"finish_reason":"stop"' not in answer.body
    [answer] = plain
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json["error"]["code"] == "overloaded"
    assert sorted(line["outcome"] for line in gateway.log if line["stream"] and line["status"] == 200) == ["stopped"] * 3


@pytest.mark.parametrize("workers", [1, 2])
def test_readiness_ends_before_listening_does(begin: Begin, workers: int) -> None:
    gateway = begin(workers, server='drain_delay = "2s"')
    key = gateway.create_key()["key"]
    process = gateway.process
    assert process is not None
    assert ask(gateway.url, "/readyz").status == 200
    process.send_signal(signal.SIGTERM)
    until(lambda: ask(gateway.url, "/readyz").status == 503, "the end of readiness")
    answer = ask(gateway.url, CHAT, token=key, body=hello(), headers={"Connection": "keep-alive"})
    assert (answer.status, answer.headers["connection"]) == (200, "close")  # still served, and told to go elsewhere
    assert ask(gateway.admin_url, "/readyz").status == 503
    assert process.wait(20) == 0
    gateway.process = None
    assert refused(gateway)


def test_a_second_interrupt_does_not_wait(begin: Begin, around: Neighbours) -> None:
    around.main.script("endless", endless)
    for workers in (1, 2):
        gateway = begin(workers, folder=f"crew{workers}", server='grace = "1h"')
        key = gateway.create_key()["key"]
        answers: list[Answer] = []
        seen = around.main.seen("endless")
        asking = asked(gateway, key, answers, model="endless", stream=True)
        until(lambda before=seen: around.main.seen("endless") > before, "the question")  # type: ignore[misc]
        process = gateway.process
        assert process is not None
        process.send_signal(signal.SIGINT)
        until(lambda it=gateway: refused(it), "the end of listening")  # type: ignore[misc]
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        gateway.process = None
        asking.join(20)
        assert b'"overloaded"' in answers[0].body


def test_an_interrupt_of_the_whole_group_is_one_interrupt(begin: Begin, around: Neighbours) -> None:
    """A terminal sends Ctrl-C to every process: the workers leave it to their parent."""
    around.main.script("paced", paced)
    gateway = begin(2)
    key = gateway.create_key()["key"]
    answers: list[Answer] = []
    asking = asked(gateway, key, answers, model="paced", stream=True)
    until(lambda: around.main.seen("paced"), "the question")
    process = gateway.process
    assert process is not None
    for pid in [*pids(gateway), process.pid]:
        os.kill(pid, signal.SIGINT)
    asking.join(20)
    assert process.wait(20) == 0
    gateway.process = None
    assert answers[0].body.endswith(b"data: [DONE]\n\n")
