"""Everything a run needs, running: mocks, nginx, gateways; and by name the requests that go to them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from bench import gateway, nginx, upstream
from bench.client import Answer, probe
from bench.errors import BenchError
from bench.gateway import VARIANTS, Gateway, Upstreams
from bench.machine import WORK, free_port
from bench.payload import CHAT_ANSWER, chat_body, generate_body, paced_model
from bench.session import Signer
from bench.wrk import Call
from wws.core.auth.apikey import ID_BYTES, SECRET_BYTES, make_key

__all__ = ["EVERY_MS", "Target", "World", "open_world"]

_ENDLESS = 10_000_000
EVERY_MS = 2
"""The interval of events in the measured streams: each server is then about a third busy, so events come one by one."""

_CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Target:
    """A request and the process tree that is charged for it."""

    pid: int
    call: Call
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """What runs. `targets` by name; `slow` are the streams for the memory shape, one event a second."""

    upstreams: Upstreams
    targets: dict[str, Target]


def _nginx_targets(pid: int, base: str, mock: str) -> dict[str, Target]:
    body = chat_body("bench")
    large = chat_body("bench", 200 * 1024)
    calls = {
        "direct": Call(mock + _CHAT, body=body),
        "proxy": Call(base + _CHAT, body=body),
        "proxy-200k": Call(base + _CHAT, body=large),
        "return": Call(base + "/return", method="GET"),
        "refuse": Call(base + "/refuse", body=body, status=401),
    }
    targets = {name: Target(pid, call) for name, call in calls.items()}
    for name, every in (("sse", EVERY_MS), ("sse-slow", 1000)):
        body = chat_body(paced_model(_ENDLESS, every), stream=True)
        targets[name] = Target(pid, Call(f"{base}/sse{_CHAT}", body=body), streamed=True)
    return targets


def _bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


def _unknown_key() -> str:
    """A key of the right form, checksum included, that nobody made: only a look-up can refuse it."""
    return make_key(os.urandom(ID_BYTES), os.urandom(SECRET_BYTES))[1]


def _gateway_targets(gateways: dict[str, Gateway], token: str) -> dict[str, Target]:
    body = chat_body("auto")
    session = _bearer(token)
    pipeline, assembled, refusals = (gateways[name] for name in ("pipeline", "assembled", "refusals"))
    chat, limited = pipeline.base_url + _CHAT, refusals.base_url + "/api/ai/generate"
    calls = {
        "wws-chat": (pipeline, Call(chat, body=body, headers=session)),
        "wws-chat-key": (pipeline, Call(chat, body=body, headers=_bearer(pipeline.key))),
        "wws-prompt": (pipeline, Call(chat, body=chat_body("auto", 200 * 1024), headers=session)),
        "wws-cache": (pipeline, Call(pipeline.base_url + "/cached/page", method="GET", headers=session)),
        "wws-assembled": (assembled, Call(assembled.base_url + _CHAT, body=body, headers=session)),
        "wws-401": (refusals, Call(refusals.base_url + _CHAT, body=body, headers=_bearer(_unknown_key()), status=401)),
        "wws-429": (refusals, Call(limited, body=generate_body(), headers=session, status=429)),
    }
    targets = {name: Target(owner.program.pid, call) for name, (owner, call) in calls.items()}
    for name, every in (("wws-sse", EVERY_MS), ("wws-sse-slow", 1000)):
        streamed = chat_body(f"streams/{paced_model(_ENDLESS, every)}", stream=True)
        targets[name] = Target(pipeline.program.pid, Call(chat, body=streamed, headers=session), streamed=True)
    return targets


def _must(condition: bool, what: str, answer: Answer) -> None:
    if not condition:
        raise BenchError(f"{what}: {answer.status} {answer.headers} {answer.body[:300]!r}")


def _verify(targets: dict[str, Target]) -> None:
    """Sends every plain request before anything is measured: first to fill caches and use up the limit, then to judge it."""
    wws = {name: target.call for name, target in targets.items() if name.startswith("wws-") and not target.streamed}
    probe(replace(wws["wws-429"], status=200))  # the one of this hour
    probe(wws["wws-cache"])
    answers = {name: probe(call) for name, call in wws.items()}
    for name in ("wws-chat", "wws-chat-key", "wws-prompt"):
        _must(answers[name].body == CHAT_ANSWER, f"{name} did not pass the mock's answer on", answers[name])
        _must(answers[name].headers.get("x-wws-provider") == "mock", f"{name} was not routed", answers[name])
        _must("ratelimit" in answers[name].headers, f"{name} was not counted", answers[name])
    _must("hit" in answers["wws-cache"].headers.get("cache-status", "").lower(), "no hit in the cache", answers["wws-cache"])
    _must(b" token token" in answers["wws-assembled"].body, "the stream was not put together", answers["wws-assembled"])
    _must(int(answers["wws-429"].headers.get("retry-after", "0")) > 1000, "no wait in the refusal", answers["wws-429"])
    for name in ("direct", "proxy", "proxy-200k", "return", "refuse"):
        probe(targets[name].call)


@contextmanager
def open_world() -> Iterator[World]:
    """Starts all parts, checks that each answers as its shape says, and ends them on leaving."""
    shutil.rmtree(WORK / "wws", ignore_errors=True)
    signer = Signer()
    with ExitStack() as stack:
        mock_port, stream_port, nginx_port = free_port(), free_port(), free_port()
        stack.enter_context(nginx.start_mock(mock_port))
        stack.enter_context(upstream.start(stream_port, signer))
        measure = stack.enter_context(nginx.start_measure(nginx_port, mock_port, stream_port))
        upstreams = Upstreams(f"http://127.0.0.1:{mock_port}", f"http://127.0.0.1:{stream_port}")
        gateways = {}
        for name, variant in VARIANTS.items():
            gateways[name] = gateway.launch(variant, upstreams)
            stack.enter_context(gateways[name].program)
        targets = _nginx_targets(measure.pid, f"http://127.0.0.1:{nginx_port}", upstreams.mock)
        targets |= _gateway_targets(gateways, signer.token(upstreams.streams))
        _verify(targets)
        yield World(upstreams, targets)
