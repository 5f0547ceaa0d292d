"""The runtimes that are measured, each with the project of the scenarios. What they store lies in memory unless told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple, Protocol

from edge.client import Client
from tests.e2e.neighbours import Neighbours
from tests.project.functions.write import write
from tests.scenarios.hosts.deno import DenoHost, PlainDenoHost
from tests.scenarios.hosts.program import Program
from tests.scenarios.hosts.workerd import WorkerdHost
from tests.scenarios.project import ENVIRONMENT, project

__all__ = ["RUNTIMES", "Running", "Runtime", "resident"]

STARTS: Final = 5
_SHARED: Final = Path("/dev/shm")  # noqa: S108 - a folder of ours is made in it; files there are memory
_IN_MEMORY: Final = {"WWS_KV": ":memory:"}
# How large Python's memory is, which only ever grows.
_HEAP: Final = {
    "heap.py": """
        from importlib import import_module
        from wws import Response
        config = {"auth": "none"}
        async def fetch(request, env, ctx):
            return Response.text(str(import_module("pyodide_js._module").HEAP8.length))
    """
}


class Running(NamedTuple):
    """A gateway that answers."""

    url: str
    process: int


class Runtime(Protocol):
    """A platform. `name` is that of its table in docs/platforms.md, `most` the milliseconds it may add to a request."""

    name: str
    most: float

    def cold(self, around: Neighbours, folder: Path, *, snapshot: bool) -> list[float]:
        """Seconds from the start of the process to its first whole answer, of several starts."""
        ...

    def running(self, around: Neighbours, folder: Path, *, disk: bool) -> AbstractContextManager[Running]:
        """It, from its snapshot. `disk`: what it stores goes to this machine's disk."""
        ...


def resident(process: int) -> float:
    """MiB of a process in memory."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell a process's memory")


def _first(url: str) -> None:
    """The first answer: a refusal, which every part of the gateway but its neighbours has a hand in."""
    client = Client(url)
    client.ask(client.request("/v1/chat/completions", None, {}), 401)
    client.close()


def _project(around: Neighbours, own: str, folder: Path) -> str:
    write(folder / "functions", _HEAP)
    return project(around, own).replace('default = "1000/min"', 'default = "1000000/min"')


class Workerd:
    """Cloudflare's runtime; Durable Objects keep their counts in files."""

    name = "workerd"
    most = 2.5

    def cold(self, around: Neighbours, folder: Path, *, snapshot: bool) -> list[float]:
        """See `Runtime`."""
        took = []
        with WorkerdHost(folder, _project(around, WorkerdHost.own, folder), ENVIRONMENT, dedicated=snapshot) as host:
            for _ in range(STARTS):
                host.stop()
                started = time.perf_counter()
                host.start()
                _first(host.url)
                took.append(time.perf_counter() - started)
        return took

    @contextmanager
    def running(self, around: Neighbours, folder: Path, *, disk: bool) -> Iterator[Running]:
        """See `Runtime`."""
        with ExitStack() as stack:
            if not disk and _SHARED.is_dir():
                folder = Path(stack.enter_context(TemporaryDirectory(dir=_SHARED)))
            host = WorkerdHost(folder, _project(around, WorkerdHost.own, folder), ENVIRONMENT, dedicated=True)
            stack.enter_context(host)
            yield Running(host.url, host.process)


class Deno:
    """Deno KV, in memory or a file."""

    name = "deno"
    most = 1.0

    def cold(self, around: Neighbours, folder: Path, *, snapshot: bool) -> list[float]:
        """See `Runtime`."""
        made = (DenoHost if snapshot else PlainDenoHost)(folder, _project(around, DenoHost.own, folder), ENVIRONMENT | _IN_MEMORY)
        with made:  # it has built the folder
            took = [made.cold]
        for _ in range(STARTS - 1):
            Program.__enter__(made)
            took.append(made.cold)
            made.__exit__()
        return took

    @contextmanager
    def running(self, around: Neighbours, folder: Path, *, disk: bool) -> Iterator[Running]:
        """See `Runtime`."""
        told = ENVIRONMENT if disk else ENVIRONMENT | _IN_MEMORY
        with DenoHost(folder, _project(around, DenoHost.own, folder), told) as host:
            assert host.process is not None
            yield Running(host.url, host.process.pid)


RUNTIMES: Final[tuple[Runtime, ...]] = (Workerd(), Deno())
