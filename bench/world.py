"""Everything a run needs, running: mocks, nginx, gateways; and by name the requests that go to them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace

from bench import gateway, nginx, upstream
from bench.client import Answer, probe
from bench.errors import BenchError
from bench.gateway import VARIANTS, Gateway, Upstreams
from bench.machine import LOAD_CORE, WORK, free_port
from bench.payload import CHAT_ANSWER, chat_body, generate_body, paced_model
from bench.process import Program, wait_listening
from bench.session import Signer
from bench.wrk import Call
from wws.core.auth.apikey import ID_BYTES, SECRET_BYTES, make_key

__all__ = ["EVERY_MS", "Target", "World", "open_world", "verify"]

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
    pipeline, quiet, workers = (gateways[name] for name in ("pipeline", "quiet", "workers"))
    assembled, refusals, redis = gateways["assembled"], gateways["refusals"], gateways["redis"]
    chat, limited = pipeline.base_url + _CHAT, refusals.base_url + "/api/ai/generate"
    calls = {
        "wws-chat": (pipeline, Call(chat, body=body, headers=session)),
        "wws-chat-key": (pipeline, Call(chat, body=body, headers=_bearer(pipeline.key))),
        "wws-chat-quiet": (quiet, Call(quiet.base_url + _CHAT, body=body, headers=session)),
        "wws-chat-workers": (workers, Call(workers.base_url + _CHAT, body=body, headers=session)),
        "wws-exact": (pipeline, _limited(pipeline, body)),
        "wws-exact-workers": (workers, _limited(workers, body)),
        "wws-chat-redis": (redis, Call(redis.base_url + _CHAT, body=body, headers=session)),
        "wws-exact-redis": (redis, _limited(redis, body)),
        "wws-prompt": (pipeline, Call(chat, body=chat_body("auto", 200 * 1024), headers=session)),
        "wws-cache": (pipeline, Call(pipeline.base_url + "/cached/page", method="GET", headers=session)),
        "wws-function": (pipeline, Call(pipeline.base_url + "/hello", method="GET")),
        "wws-function-task": (pipeline, Call(pipeline.base_url + "/task", method="GET")),
        "wws-assembled": (assembled, Call(assembled.base_url + _CHAT, body=body, headers=session)),
        "wws-401": (refusals, Call(refusals.base_url + _CHAT, body=body, headers=_bearer(_unknown_key()), status=401)),
        "wws-429": (refusals, Call(limited, body=generate_body(), headers=session, status=429)),
    }
    targets = {name: Target(owner.program.pid, call) for name, (owner, call) in calls.items()}
    for name, every in (("wws-sse", EVERY_MS), ("wws-sse-slow", 1000)):
        streamed = chat_body(f"streams/{paced_model(_ENDLESS, every)}", stream=True)
        targets[name] = Target(pipeline.program.pid, Call(chat, body=streamed, headers=session), streamed=True)
    return targets


def _limited(gateway: Gateway, body: bytes) -> Call:
    """Calls of one key at a route with a limit that ends soon."""
    return Call(f"{gateway.base_url}/exact{_CHAT}", body=body, headers=_bearer(gateway.key), limited=True)


def _passed_on(answer: Answer) -> str | None:
    if answer.body != CHAT_ANSWER:
        return "it did not pass the mock's answer on"
    if answer.headers.get("x-wws-provider") != "mock":
        return "it was not routed to the mock"
    return None if "ratelimit" in answer.headers else "it was not counted by the limiter"


def _assembled(answer: Answer) -> str | None:
    return None if b" token token" in answer.body else "it was not put together from a stream"


def _hit(answer: Answer) -> str | None:
    return None if "hit" in answer.headers.get("cache-status", "").lower() else "it is no hit in the cache"


def _greeted(answer: Answer) -> str | None:
    return None if answer.body == b'{"hello":"world"}' else "the function did not answer"


def _long_wait(answer: Answer) -> str | None:
    return None if int(answer.headers.get("retry-after", "0")) > 600 else "it names no wait of most of an hour"


_CHECKS: dict[str, Callable[[Answer], str | None]] = {
    "wws-chat": _passed_on,
    "wws-chat-key": _passed_on,
    "wws-chat-quiet": _passed_on,
    "wws-chat-workers": _passed_on,
    "wws-chat-redis": _passed_on,
    "wws-prompt": _passed_on,
    "wws-assembled": _assembled,
    "wws-cache": _hit,
    "wws-429": _long_wait,
    "wws-function": _greeted,
    "wws-function-task": _greeted,
}


def verify(name: str, target: Target) -> None:
    """Sends a plain request until it is warm, and looks at its answer. Raises `BenchError` when that is not what the name says.

    The first answer of `wws-429` is the one of this hour and that of `wws-cache` a miss, so neither is looked at.
    """
    if target.streamed:
        return  # its reader looks at the answer
    if name in {"wws-429", "wws-cache"}:
        with suppress(BenchError):
            probe(replace(target.call, status=200))
    answer = probe(target.call)
    fault = _CHECKS[name](answer) if name in _CHECKS else None
    if fault is not None:
        raise BenchError(f"{name}: {fault}: {answer.status} {answer.headers} {answer.body[:200]!r}")


def _start_redis(port: int) -> Program:
    """A Redis server that keeps nothing on disk, on the load's core."""
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(WORK)]
    program = Program("redis-server", LOAD_CORE, command, WORK / "redis.log")
    wait_listening(program, port)
    return program


@contextmanager
def open_world() -> Iterator[World]:
    """Starts all parts, and ends them on leaving."""
    shutil.rmtree(WORK / "wws", ignore_errors=True)
    signer = Signer()
    with ExitStack() as stack:
        mock_port, stream_port, nginx_port, redis_port = free_port(), free_port(), free_port(), free_port()
        stack.enter_context(nginx.start_mock(mock_port))
        stack.enter_context(upstream.start(stream_port, signer))
        stack.enter_context(_start_redis(redis_port))
        measure = stack.enter_context(nginx.start_measure(nginx_port, mock_port, stream_port))
        upstreams = Upstreams(
            f"http://127.0.0.1:{mock_port}", f"http://127.0.0.1:{stream_port}", f"redis://127.0.0.1:{redis_port}"
        )
        gateways = {}
        for name, variant in VARIANTS.items():
            gateways[name] = gateway.launch(variant, upstreams)
            stack.enter_context(gateways[name].program)
        targets = _nginx_targets(measure.pid, f"http://127.0.0.1:{nginx_port}", upstreams.mock)
        targets |= _gateway_targets(gateways, signer.token(upstreams.streams))
        yield World(upstreams, targets)
