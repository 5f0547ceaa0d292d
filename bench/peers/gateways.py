"""The peers: which release, how it is installed, started and asked. One worker each, logging turned down, as WWS and nginx.

Each starts with an environment of its own that holds nothing of ours, and is told to fetch nothing from outside.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.client import probe
from bench.errors import BenchError
from bench.machine import SERVER_CORE, free_port
from bench.payload import chat_body
from bench.peers import install
from bench.process import Program, wait_listening
from bench.wrk import Call

__all__ = ["PEERS", "Peer", "Running", "start"]

_KEY = "sk-bench-0123456789abcdef"
_PATH = "/v1/chat/completions"
_MODEL = "gpt-4o-mini"  # one that every catalogue knows; the mock takes any


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that listens. `path` and `headers` are those of a chat completion, `model` the name it knows the model by."""

    program: Program
    base_url: str
    model: str
    headers: dict[str, str]
    path: str = _PATH

    def call(self, stream: bool) -> Call:
        return Call(self.base_url + self.path, body=chat_body(self.model, stream=stream), headers=self.headers)


@dataclass(frozen=True, slots=True)
class Peer:
    """One gateway. `run` starts it in front of the provider at a base URL (ending in /v1).

    `auth` tells what it checks; `every_ms` is the interval of events in its streams, so that it is not saturated by them.
    """

    name: str
    version: str
    language: str
    auth: str
    every_ms: int
    install: Callable[[], Path]
    run: Callable[[Path, str], Running]


def _launch(name: str, command: list[str], folder: Path, env: dict[str, str]) -> Program:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    env = {"HOME": str(home), "TMPDIR": str(home), **env}
    return Program(name, SERVER_CORE, command, folder / "run.log", env, inherit=("PATH", "LANG"))


_LITELLM = "1.92.2"
_LITELLM_CONFIG = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: {upstream}
      api_key: sk-mock
general_settings:
  master_key: {key}
litellm_settings:
  telemetry: false
  drop_params: true
"""


def _litellm(folder: Path, upstream: str) -> Running:
    port = free_port()
    config = folder / "config.yaml"
    config.write_text(_LITELLM_CONFIG.format(model=_MODEL, upstream=upstream, key=_KEY))
    env = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it is fetched at start
        "LITELLM_LOG": "ERROR",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_MODE": "PRODUCTION",
    }
    command = [
        str(folder / "bin" / "litellm"),
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]
    program = _launch("LiteLLM", command, folder, env)
    return Running(program, f"http://127.0.0.1:{port}", _MODEL, {"authorization": f"Bearer {_KEY}"})


def _portkey(folder: Path, upstream: str) -> Running:
    port = free_port()
    script = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    command = ["node", str(script), "--headless", f"--port={port}"]
    program = _launch("Portkey", command, folder, {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"})
    headers = {
        "authorization": f"Bearer {_KEY}",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": upstream,
    }
    return Running(program, f"http://127.0.0.1:{port}", _MODEL, headers)


_FERRO_CONFIG = "strategy:\n  mode: single\ntargets:\n  - virtual_key: openai\n"


def _ferrogw(folder: Path, upstream: str) -> Running:
    port = free_port()
    config = folder / "config.yaml"
    config.write_text(_FERRO_CONFIG)
    env = {
        "PORT": str(port),
        "GATEWAY_CONFIG": str(config),
        "MASTER_KEY": _KEY,
        "OPENAI_API_KEY": "sk-mock",
        "OPENAI_BASE_URL": upstream,
        "LOG_LEVEL": "error",
        "RATE_LIMIT_RPS": "100000000",  # its limiter runs, and admits
        "RATE_LIMIT_BURST": "100000000",
        "FERRO_MODEL_CATALOG_TIMEOUT": "0",  # else it is fetched at start
    }
    program = _launch("ferrogw", [str(folder / "bin" / "ferrogw"), "serve"], folder, env)
    return Running(program, f"http://127.0.0.1:{port}", _MODEL, {"authorization": f"Bearer {_KEY}"})


_TENSORZERO_CONFIG = """\
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true

[models.bench]
routing = ["mock"]

[models.bench.providers.mock]
type = "openai"
model_name = "{model}"
api_base = "{upstream}"
api_key_location = "none"
"""

# The wheel has the whole gateway in it and starts it on a port that it chooses.
_TENSORZERO_START = """\
import sys, time
from tensorzero import _start_http_gateway
gateway = _start_http_gateway(config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
print("LISTENS " + gateway.base_url, flush=True)
time.sleep(3600)
"""


def _tensorzero(folder: Path, upstream: str) -> Running:
    config = folder / "tensorzero.toml"
    config.write_text(_TENSORZERO_CONFIG.format(model=_MODEL, upstream=upstream))
    program = _launch(
        "TensorZero", [str(folder / "bin" / "python"), "-c", _TENSORZERO_START, str(config)], folder, {"RUST_LOG": "error"}
    )
    try:
        base_url = _announced(program)
    except BaseException:
        program.stop()
        raise
    return Running(program, base_url, "tensorzero::model_name::bench", {}, path="/openai/v1/chat/completions")


def _announced(program: Program, patience: float = 30.0) -> str:
    """The loopback URL that the program printed."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        found = re.search(r"LISTENS http://[^:\s]+:(\d+)", program.log.read_text(errors="replace"))
        if found:
            return f"http://127.0.0.1:{found[1]}"
        program.check()
        time.sleep(0.05)
    raise BenchError(f"{program.name} printed no address: {program.tail()}")


PEERS = (
    Peer(
        "TensorZero", "2026.6.0", "Rust", "none: its keys need a Postgres database", 5,
        lambda: install.python("tensorzero==2026.6.0", "tensorzero"), _tensorzero,
    ),
    Peer(
        "ferrogw", "1.5.10", "Go", "its master key", 5,
        lambda: install.python("ferrogw==1.5.10", "ferrogw"), _ferrogw,
    ),
    Peer(
        "Portkey gateway", "1.15.2", "TypeScript on Node", "none: it has no keys of its own", 10,
        lambda: install.npm("@portkey-ai/gateway", "1.15.2", "portkey"), _portkey,
    ),
    Peer(
        "LiteLLM proxy", _LITELLM, "Python", "its master key", 100,
        lambda: install.python(f"litellm[proxy]=={_LITELLM}", "litellm"), _litellm,
    ),
)  # fmt: skip


def start(peer: Peer, folder: Path, upstream: str, patience: float = 90.0) -> Running:
    """The peer, ready: it listens and has answered a chat. Raises `BenchError` with what it printed or answered."""
    running = peer.run(folder, upstream)
    port = int(running.base_url.rpartition(":")[2])
    try:
        wait_listening(running.program, port, patience)
        until = time.monotonic() + patience
        while True:
            try:
                probe(running.call(stream=False), patience=20.0)
                return running
            except BenchError as error:
                running.program.check()
                if time.monotonic() > until:
                    raise BenchError(f"{peer.name} does not answer: {error}") from error
                time.sleep(0.3)
    except BaseException:
        running.program.stop()
        raise
