"""A host that is a program of its own: started with a port, asked until it answers, ended by SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

from tests.e2e.program import environment, until, wws

__all__ = ["Program", "free_port"]

_PATIENCE = 30.0


def free_port() -> int:
    """A port nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Program:
    """`command` makes the words to run from the port to listen on. The program runs in `folder`, where wws.toml stands."""

    def __init__(self, folder: Path, toml: str, env: dict[str, str], command: Callable[[int], Sequence[str]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = folder / "wws.toml"
        self.config.write_text(toml)
        self.env = env
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = command
        self._output = folder / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None
        self.cold = 0.0
        """Seconds from the start of the process to its first answer."""

    def __enter__(self) -> Self:
        began = time.monotonic()
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                list(self._command(self.port)),
                cwd=self.folder,
                env=environment({**self.env, "WWS_CONFIG": str(self.config)}),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # some servers have worker processes: they are ended together
            )
        until(self._answers, "the first answer", _PATIENCE)
        self.cold = time.monotonic() - began
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}:\n{self.output}")
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except ConnectionError:
            return False
        finally:
            connection.close()

    def __exit__(self, *_: object) -> None:
        process = self.process
        assert process is not None
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"it did not end on SIGTERM:\n{self.output}") from None
        self.ended(process.returncode)

    def ended(self, status: int) -> None:
        """Looks at how it ended."""
        assert status in (0, -signal.SIGTERM), self.output

    @property
    def output(self) -> str:
        """All it has written."""
        return self._output.read_text(errors="replace")

    def create_key(self, *options: str) -> dict[str, Any]:
        """See `Host`."""
        ran = wws(
            "keys", "create", "--json", "--name", "test", *options, "--config", str(self.config), cwd=self.folder, env=self.env
        )
        assert ran.status == 0, ran.err
        made: dict[str, Any] = json.loads(ran.out)
        return made
