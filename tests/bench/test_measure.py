"""Rounds, faults, and the look at each answer before it is measured: on the streaming mock, with a stand-in for wrk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench import measure as measured
from bench import upstream, wrk
from bench.client import Answer
from bench.errors import BenchError
from bench.gateway import Upstreams
from bench.machine import free_port
from bench.measure import Plan, Sample, measure
from bench.payload import CHAT_ANSWER, chat_body, paced_model
from bench.session import Signer
from bench.shapes import Shape
from bench.world import _CHECKS, Target, World, verify
from bench.wrk import Call, Counts

_A = Shape("a", "a", wws="a-wws", nginx="base")
_B = Shape("b", "b", wws="b-wws", nginx="base")


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    port = free_port()
    with upstream.start(port, Signer()):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces wrk by one that notes the path it was sent to; `/fails` fails from its second run on."""
    seen: list[str] = []

    def run(call: Call, seconds: float, connections: int = 32) -> Counts:
        path = call.url.rpartition("/")[2]
        seen.append(path)
        if path == "fails" and seen.count("fails") > 1:
            raise BenchError("socket errors")
        return Counts(1000, seconds, 0, 0, 200.0, 900.0)

    monkeypatch.setattr(wrk, "run", run)
    return seen


def _world(url: str, **paths: str) -> World:
    body = chat_body("bench")
    targets = {name.replace("_", "-"): Target(os.getpid(), Call(f"{url}/{path}", body=body)) for name, path in paths.items()}
    return World(Upstreams(url, url), targets)


def test_a_base_shared_by_two_shapes_is_measured_once_a_round(base: str, runs: list[str]) -> None:
    world = _world(base, base="base", a_wws="a", b_wws="b")
    results = measure(world, (_A, _B), Plan(rounds=2, seconds=2), lambda what: None)
    assert runs[:4] == ["base", "a", "base", "b"]  # warming up
    assert runs[4:] == ["base", "a", "b"] * 2
    assert [(len(result.wws), len(result.nginx), result.fault) for result in results] == [(2, 2, None)] * 2
    assert (results[0].wws[0].rate, results[0].wws[0].p50, results[0].wws[0].p99) == (500.0, 0.2, 0.9)


def test_a_shape_that_fails_is_left_out_and_the_others_go_on(base: str, runs: list[str]) -> None:
    world = _world(base, base="base", a_wws="fails", b_wws="b")
    failed, sound = measure(world, (_A, _B), Plan(rounds=3, seconds=2), lambda what: None)
    assert failed.fault == "socket errors"
    assert runs.count("fails") == 2  # the warm-up and the round it failed in
    assert sound.fault is None and len(sound.wws) == 3


def test_a_shape_whose_answer_is_wrong_is_never_measured(base: str, runs: list[str]) -> None:
    world = _world(base, base="base", a_wws="a", b_wws="b")
    world.targets["a-wws"] = replace(world.targets["a-wws"], call=replace(world.targets["a-wws"].call, status=401))
    failed, sound = measure(world, (_A, _B), Plan(rounds=1, seconds=2), lambda what: None)
    assert failed.fault is not None and "answers 200 where 401 was expected" in failed.fault
    assert "a" not in runs
    assert sound.fault is None


def test_streams_are_counted_in_events(base: str) -> None:
    body = chat_body(paced_model(1_000_000, 4), stream=True)
    sample = measured.streamed(Target(os.getpid(), Call(base + "/x", body=body), streamed=True), 0.5)
    assert sample.value > 0
    assert sample.rate is not None and 0 < sample.rate < 9000


def test_streams_that_stay_silent_are_no_figure(base: str) -> None:
    body = chat_body(paced_model(1_000_000, 60_000), stream=True)
    with pytest.raises(BenchError, match="no event came"):
        measured.streamed(Target(os.getpid(), Call(base + "/x", body=body), streamed=True), 0.1)


def test_memory_of_streams_is_told_per_stream(base: str) -> None:
    body = chat_body(paced_model(1_000_000, 1000), stream=True)
    sample = measured.stream_memory(Target(os.getpid(), Call(base + "/x", body=body), streamed=True))
    assert isinstance(sample, Sample)
    assert abs(sample.value) < 200  # this process holds only the clients' sockets


_GOOD = Answer(200, {"x-wws-provider": "mock", "ratelimit": '"default";r=1;t=1'}, CHAT_ANSWER)


@pytest.mark.parametrize(
    ("name", "answer", "fault"),
    [
        ("wws-chat", _GOOD, None),
        ("wws-chat", _GOOD._replace(body=b"{}"), "did not pass"),
        ("wws-chat-key", _GOOD._replace(headers={"ratelimit": "x", "x-wws-provider": "sandbox"}), "not routed"),
        ("wws-prompt", _GOOD._replace(headers={"x-wws-provider": "mock"}), "not counted"),
        ("wws-cache", Answer(200, {"cache-status": "wws; hit"}, b""), None),
        ("wws-cache", Answer(200, {"cache-status": "wws; fwd=miss; stored"}, b""), "no hit"),
        ("wws-cache", Answer(200, {}, b""), "no hit"),
        ("wws-429", Answer(429, {"retry-after": "3600"}, b""), None),
        ("wws-429", Answer(429, {"retry-after": "1"}, b""), "no wait"),
        ("wws-function", Answer(200, {}, b'{"hello":"world"}'), None),
        ("wws-function-task", Answer(200, {}, b"{}"), "did not answer"),
        ("wws-assembled", _GOOD, "not put together"),
        ("wws-assembled", Answer(200, {}, b'{"content":" token token token"}'), None),
    ],
)
def test_what_is_looked_at_before_measuring(name: str, answer: Answer, fault: str | None) -> None:
    found = _CHECKS[name](answer)
    assert (found is None) == (fault is None)
    assert fault is None or fault in str(found)


def test_an_answer_that_is_not_what_its_name_says_is_an_error(base: str) -> None:
    target = Target(os.getpid(), Call(base + "/x", body=chat_body("bench")))
    verify("proxy", target)
    with pytest.raises(BenchError, match="wws-chat: it was not routed"):
        verify("wws-chat", target)


@pytest.mark.parametrize(
    ("requests", "refused", "figure"),
    [(5000, 2000, 0.0), (5000, 1990, 10.0), (5000, 2001, None), (2000, 0, None), (3000, 0, None)],
)
def test_what_is_let_through_beyond_a_limit(
    monkeypatch: pytest.MonkeyPatch, requests: int, refused: int, figure: float | None
) -> None:
    monkeypatch.setattr(wrk, "run", lambda call, seconds: Counts(requests, seconds, refused, 0, 200.0, 900.0))
    target = Target(1, Call("http://127.0.0.1/exact", limited=True))
    if figure is None:  # fewer than the limit says, or so few requests that it says nothing
        with pytest.raises(BenchError, match="the limit is 3000"):
            measured.exact(target, 2.0)
    else:
        assert measured.exact(target, 2.0).value == figure
