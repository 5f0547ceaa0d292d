"""The streaming mock as it runs in a benchmark: its own process, real sockets, read by the benchmark's own clients."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bench import upstream
from bench.client import connect, encode, length_of, probe
from bench.errors import BenchError
from bench.machine import free_port
from bench.payload import CHAT_ANSWER, chat_body, paced_model
from bench.session import JWKS_PATH, SUBJECT, USER_PATH, Signer
from bench.streams import Streams
from bench.wrk import Call


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture(scope="module")
def base(signer: Signer) -> Iterator[str]:
    port = free_port()
    with upstream.start(port, signer):
        yield f"http://127.0.0.1:{port}"


def _chat(base: str, model: str = "bench", stream: bool = False) -> Call:
    return Call(f"{base}/v1/chat/completions", body=chat_body(model, stream=stream))


def test_it_is_the_auth_server(base: str, signer: Signer) -> None:
    assert json.loads(probe(Call(base + JWKS_PATH, method="GET")).body) == signer.jwks
    assert json.loads(probe(Call(base + USER_PATH, method="GET")).body)["id"] == SUBJECT


def test_a_chat_without_a_stream(base: str) -> None:
    answer = probe(_chat(base))
    assert answer.body == CHAT_ANSWER
    assert answer.headers["content-type"] == "application/json"


def test_a_stream_of_60_tokens_at_once(base: str) -> None:
    answer = probe(_chat(base, stream=True))
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.body.count(b'"content":" token"') == 60
    assert answer.body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_a_paced_stream_ends_after_its_events(base: str) -> None:
    answer = probe(_chat(base, paced_model(5, 1), stream=True))
    assert answer.body.count(b'"content":" token"') == 5
    assert answer.body.count(b"\r\ndata: ") == 6  # each event in a chunk of its own, and the end


def test_a_connection_is_kept(base: str) -> None:
    call = _chat(base)
    with connect(call) as sock:
        for _ in range(3):
            sock.sendall(encode(call))
            data = b""
            while (length := length_of(data)) is None or len(data) < length:
                data += sock.recv(65536)
            assert data.endswith(CHAT_ANSWER)


def test_a_body_that_is_not_json(base: str) -> None:
    with pytest.raises(BenchError, match="answers 400"):
        probe(Call(f"{base}/v1/chat/completions", body=b"{"))


def test_streams_are_opened_together_and_counted(base: str) -> None:
    with Streams(_chat(base, paced_model(10_000, 2), stream=True), 8) as streams:
        streams.wait_open()
        streams.read(10.0, lambda: streams.events >= 160)
        assert streams.started == 8
        assert streams.events >= 160


def test_an_answer_that_is_no_stream_is_an_error(base: str) -> None:
    with Streams(_chat(base), 1) as streams, pytest.raises(BenchError, match="is not a stream"):
        streams.wait_open(5.0)


def test_a_pace_for_callers_that_cannot_name_one(signer: Signer) -> None:
    port = free_port()
    with upstream.start(port, signer, paced_model(3, 1)):
        own = probe(_chat(f"http://127.0.0.1:{port}", "any", stream=True))
        named = probe(_chat(f"http://127.0.0.1:{port}", paced_model(2, 1), stream=True))
    assert own.body.count(b'"content":" token"') == 3
    assert named.body.count(b'"content":" token"') == 2
