"""Real Redis servers for tests: started on free ports of this machine, ended by their process ids."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.support.clock import FakeClock

__all__ = ["RedisClock", "RedisServer", "Sentinel", "free_port", "make_cluster", "require_redis"]

_PATIENCE = 15.0


def require_redis() -> None:
    """Skips the test where there is no server to start."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (Debian's package redis-server)")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """`with RedisServer() as server: ...`; `options` are those of redis-server, as `--name value`."""

    def __init__(self, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.address = f"redis://127.0.0.1:{self.port}"
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="wws-redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Redis | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        end = time.monotonic() + _PATIENCE
        while self._process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            time.sleep(0.02)
        self.stop()
        raise AssertionError((self._folder / "log").read_text())

    def _command(self) -> list[str]:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder), "--save", ""]
        return [*command, *self._options]

    @property
    def client(self) -> Redis:
        """Its reference client."""
        if self._client is None:
            self._client = Redis(port=self.port)
        return self._client

    def call(self, *arguments: Any) -> Any:
        """One command."""
        return self.client.execute_command(*arguments)  # type: ignore[no-untyped-call]

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP freezes it, SIGCONT wakes it."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Ends it at once, as a crash would."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


class Sentinel(RedisServer):
    """A sentinel that watches `master` under the name `main`."""

    def __init__(self, master: RedisServer) -> None:
        super().__init__()
        self.config = self._folder / "sentinel.conf"
        watch = (f"monitor main 127.0.0.1 {master.port} 1", "down-after-milliseconds main 500", "failover-timeout main 2000")
        lines = (f"port {self.port}", "bind 127.0.0.1", f"dir {self._folder}", *[f"sentinel {line}" for line in watch])
        self.config.write_text("\n".join(lines) + "\n")

    def _command(self) -> list[str]:
        return ["redis-server", str(self.config), "--sentinel"]


@contextlib.contextmanager
def make_cluster(nodes: int = 3) -> Iterator[list[RedisServer]]:
    """A cluster of masters that share the slots evenly."""
    with contextlib.ExitStack() as stack:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no")
        buses = [free_port() for _ in range(nodes)]
        servers = [stack.enter_context(RedisServer(*options, "--cluster-port", str(bus))) for bus in buses]
        for number, server in enumerate(servers):
            first, end = number * 16384 // nodes, (number + 1) * 16384 // nodes
            server.call("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for server in servers[1:]:
            server.call("CLUSTER", "MEET", "127.0.0.1", servers[0].port, buses[0])
        end_at = time.monotonic() + _PATIENCE
        while not all(_whole(server, nodes) for server in servers):
            assert time.monotonic() < end_at, "the cluster did not come together"
            time.sleep(0.05)
        yield servers


def _whole(server: RedisServer, nodes: int) -> bool:
    try:
        about = server.call("CLUSTER", "INFO")
    except RedisError:
        return False
    fields = about if isinstance(about, dict) else dict(line.split(":") for line in about.decode().split())
    return (fields["cluster_state"], fields["cluster_slots_ok"], fields["cluster_known_nodes"]) == ("ok", "16384", str(nodes))


class RedisClock(FakeClock):
    """A clock whose `advance` lets time pass on servers too: what expires there expires so much earlier."""

    def __init__(self, servers: list[RedisServer]) -> None:
        super().__init__()
        self._servers = servers

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        for server in self._servers:
            for key in server.client.scan_iter():
                left = server.client.pttl(key)
                if left >= 0:
                    server.client.pexpire(key, left - round(seconds * 1000))
