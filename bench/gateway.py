"""WWS under test: a project with everything on, its key, and `wws serve` on the server's core.

The gateways of `VARIANTS` run side by side and differ in one thing each, so that rounds can go to them in turn. Only the one
that is measured has work; each has its own store, as two processes on one store would wait for each other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.client import probe
from bench.errors import BenchError
from bench.machine import BOTH_CORES, SERVER_CORE, WORK, free_port
from bench.process import Program
from bench.wrk import Call

__all__ = ["EXACT", "VARIANTS", "Gateway", "Upstreams", "Variant", "config", "create_key", "launch", "prepare", "ready", "serve"]

EXACT = 3000
"""What one key may ask of `/exact/*` in an hour: more is sent in a second, and this many must be let through."""
_AMPLE = "100000000/min"  # the limiter runs and admits
_ENVIRONMENT = {"WWS_PEPPER": "the pepper of a benchmark"}  # what a shared store needs


@dataclass(frozen=True, slots=True)
class Upstreams:
    """What stands behind the gateway: the cheap mock and the streaming mock (which also is the auth server), by base URL, and
    a Redis server."""

    mock: str
    streams: str
    redis: str = "redis://127.0.0.1:6379"


@dataclass(frozen=True, slots=True)
class Variant:
    """What differs: where `auto` leads, whether plain answers are assembled from streams, the limit before authentication,
    which requests are logged, how many processes serve, whether the store is Redis."""

    name: str
    provider: str = "mock"
    assemble: bool = False
    address_limit: str = _AMPLE
    log: str = "all"
    workers: int = 1
    redis: bool = False


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("pipeline"),
        Variant("quiet", log="off"),
        Variant("workers", workers=2),
        Variant("redis", redis=True),
        Variant("assembled", provider="streams", assemble=True),
        # One address sends every refused request here, and the limit before authentication would refuse it first.
        Variant("refusals", address_limit="off"),
    )
}

_CONFIG = """\
name = "bench"

[server]
listen = "127.0.0.1:{port}"
admin = "127.0.0.1:{admin}"
workers = {workers}
log = "{log}"

[kv]
store = "{store}"

[auth]
supabase_url = "{streams}"
supabase_key = "sb_publishable_bench"

[limits]
"/api/ai/generate" = "1/hour"
"/exact/*" = "{exact}/hour"
default = "{ample}"
address = "{address}"

[providers.mock]
kind = "openai"
base_url = "{mock}/v1"
api_key = "sk-bench"

[providers.streams]
kind = "openai"
base_url = "{streams}/v1"
api_key = "sk-bench"

[attempts]
assemble = {assemble}

[models]
code = ["{provider}/bench", "{provider}/bench-fallback"]
reasoning = ["{provider}/bench", "{provider}/bench-fallback"]
long_context = ["{provider}/bench"]

[origin]
url = "{mock}"

[[routes]]
path = "/api/ai/*"
to = "ai"
auth = "required"

[[routes]]
path = "/v1/*"
to = "ai"
auth = "required"

[[routes]]
path = "/exact/v1/*"
to = "ai"
auth = "required"

[[routes]]
path = "/cached/*"
to = "origin"
auth = "required"
cache = {{ fresh = "1h", stale = "2h", per = "user" }}
"""


_FUNCTIONS = {
    "hello": """\
from wws import Response

config = {"auth": "none"}


async def fetch(request, env, ctx):
    return Response.json({"hello": request.query.get("name", "world")})
""",
    "task": """\
import asyncio

from wws import Response

config = {"auth": "none"}


async def fetch(request, env, ctx):
    return Response.json({"hello": request.query.get("name", "world")})
""",
}


def config(variant: Variant, folder: Path, port: int, admin: int, upstreams: Upstreams) -> str:
    """The wws.toml of a variant. The rules are the defaults, so routing has all its questions to ask."""
    return _CONFIG.format(
        port=port,
        admin=admin,
        store=upstreams.redis if variant.redis else f"lmdb:{folder}/state",
        mock=upstreams.mock,
        streams=upstreams.streams,
        ample=_AMPLE,
        address=variant.address_limit,
        log=variant.log,
        workers=variant.workers,
        exact=EXACT,
        assemble=str(variant.assemble).lower(),
        provider=variant.provider,
    )


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway with the API key made for it."""

    program: Program
    base_url: str
    key: str


def _command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("wws")), *arguments]


def create_key(path: Path) -> str:
    """An API key from `wws keys create`. Raises `BenchError` with what the command said when it fails."""
    command = _command("keys", "create", "--name", "bench", "--json", "--config", str(path))
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **_ENVIRONMENT},
    )
    if done.returncode != 0:
        raise BenchError(f"wws keys create ended with {done.returncode}: {done.stderr.strip()[-800:]}")
    try:
        return str(json.loads(done.stdout)["key"])
    except (ValueError, KeyError) as error:
        raise BenchError(f"wws keys create printed no key: {done.stdout[:200]!r}") from error


def ready(program: Program, base_url: str, patience: float = 20.0) -> float:
    """Waits for 200 from /healthz; the monotonic time at which it came. Raises `BenchError` when the program ends first."""
    call = Call(f"{base_url}/healthz", method="GET")
    until = time.monotonic() + patience
    while True:
        try:
            probe(call, patience=2.0)
        except BenchError as error:
            program.check()
            if time.monotonic() > until:
                raise BenchError(f"{program.name} is not ready after {patience:.0f} s ({error}): {program.tail()}") from error
            time.sleep(0.002)
        else:
            return time.monotonic()


def prepare(variant: Variant, upstreams: Upstreams) -> tuple[Path, str]:
    """Writes the variant's project into a folder that no other run has used; its config file and base URL."""
    port = free_port()
    folder = WORK / "wws" / f"{variant.name}-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir(parents=True)
    path = folder / "wws.toml"
    path.write_text(config(variant, folder, port, free_port(), upstreams))
    (folder / "functions").mkdir()
    for name, text in _FUNCTIONS.items():
        (folder / "functions" / f"{name}.py").write_text(text)
    return path, f"http://127.0.0.1:{port}"


def serve(path: Path, name: str, core: int | str = SERVER_CORE) -> Program:
    """`wws serve` on the server's core."""
    return Program(f"wws serve ({name})", core, _command("serve", "--config", str(path)), path.parent / "serve.log", _ENVIRONMENT)


def launch(variant: Variant, upstreams: Upstreams) -> Gateway:
    """A gateway that is ready to be measured."""
    path, base_url = prepare(variant, upstreams)
    key = create_key(path)
    program = serve(path, variant.name, SERVER_CORE if variant.workers == 1 else BOTH_CORES)
    try:
        ready(program, base_url)
    except BaseException:
        program.stop()
        raise
    return Gateway(program, base_url, key)
