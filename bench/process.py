"""Starting and ending the programs of a run. Each is ended by its own pid, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from bench.errors import BenchError
from bench.machine import pinned

__all__ = ["Program", "wait_listening"]


class Program:
    """One program pinned to a core, its output in a file. A context manager: leaving it ends the program and its group.

    `env` is added to our environment, or, where `inherit` is given, to those of our variables that it names.
    """

    def __init__(
        self,
        name: str,
        core: int | str,
        command: list[str],
        log: Path,
        env: dict[str, str] | None = None,
        inherit: tuple[str, ...] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        ours = {k: v for k, v in os.environ.items() if inherit is None or k in inherit}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                pinned(core, command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**ours, **(env or {})},
                start_new_session=True,
            )
        self.pid = self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def check(self) -> None:
        """Raises `BenchError` with the end of the output when the program has ended."""
        if not self.alive():
            raise BenchError(f"{self.name} ended with status {self._process.returncode}: {self.tail()}")

    def tail(self, size: int = 1500) -> str:
        return self.log.read_bytes()[-size:].decode(errors="replace").strip() or "(no output)"

    def stop(self, patience: float = 5.0) -> None:
        """SIGTERM, then SIGKILL for the session it leads. Its children are in that session unless they left it."""
        if self.alive():
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(patience)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def wait_listening(program: Program, port: int, patience: float = 10.0) -> None:
    """Waits until something accepts on the loopback port. Raises `BenchError` when the program ends or takes too long."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        program.check()
        with socket.socket() as sock:
            sock.settimeout(1.0)
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise BenchError(f"{program.name} does not listen on port {port} after {patience:.0f} s: {program.tail()}")
