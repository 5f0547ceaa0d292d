"""The command `wws` as a user runs it: a program of its own, with its files, its output and its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from tests.support.installed import require_current

__all__ = ["WWS", "Gateway", "Ran", "until", "wws"]

WWS = Path(sys.executable).parent / "wws"
require_current()
_PATIENCE = 15.0
"""Seconds that a start or an end may take before the test says that it never comes."""

_T = TypeVar("_T")


class Ran(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment without anything of WWS in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WWS_", "SUPABASE_", "SYNTHETIC_", "ZAI_"))}
    return {**kept, **(extra or {})}


def wws(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Ran:
    """Runs a command to its end."""
    done = subprocess.run(
        [WWS, *arguments], cwd=cwd, env=environment(env), capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def until(found: Callable[[], _T | None], what: str, patience: float = _PATIENCE) -> _T:
    """The first result of `found` that is something; fails the test when `what` does not come."""
    end = time.monotonic() + patience
    while not (value := found()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {patience:g} s")
        time.sleep(0.02)
    return value


class Gateway:
    """A running gateway: `with Gateway(folder, toml) as gateway: ...` waits for its ready line and ends it by SIGTERM.

    `command` is `serve` or `dev`, with its options. An exit status other than 0 fails the test.
    """

    def __init__(
        self, folder: Path, toml: str | None, command: tuple[str, ...] = ("serve",), env: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.config = folder / "wws.toml"
        self.url = ""
        self.functions_fail = False
        """Whether the test's own functions raise, so that tracebacks are to be expected in the log."""
        self.admin_url = ""
        self._errors = folder / "stderr.log"
        self._out = folder / "stdout.log"
        self._given = env or {}
        self._env = environment(env)
        self._command = [str(WWS), *command]
        folder.mkdir(parents=True, exist_ok=True)
        if toml is not None:
            self.config.write_text(toml)
            self._command += ["--config", str(self.config)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the program and waits until it is ready."""
        with self._errors.open("ab") as errors, self._out.open("ab") as out:
            seen = errors.tell()
            self.process = subprocess.Popen(self._command, cwd=self.folder, env=self._env, stdout=out, stderr=errors)
        line = until(lambda: self._ready(seen), "the ready line")
        words = line.replace(",", " ").split()
        urls = [word for word in words if word.startswith(("http://", "https://"))]
        self.url, self.admin_url = urls[0], urls[-1]

    def _ready(self, seen: int) -> str | None:
        text = self._errors.read_bytes()[seen:].decode()
        for line in text.splitlines(keepends=True):
            if line.startswith("wws ready on ") and line.endswith("\n"):
                return line
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{text}")
        return None

    def stop(self) -> int:
        """Asks it to end, and gives its exit status."""
        process = self.process
        assert process is not None
        self.process = None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the gateway did not end on SIGTERM:\n{self.stderr}") from None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        status = 0 if self.process is None else self.stop()
        words = "\n".join(line for line in self.stderr.splitlines() if not line.startswith("{"))
        assert status == 0, words
        assert self.functions_fail or "Traceback" not in words, words

    @property
    def stderr(self) -> str:
        """All it has written to standard error."""
        return self._errors.read_text()

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its request log so far; one that is being written is not there yet."""
        whole, _, _ = self.stderr.rpartition("\n")
        return [json.loads(line) for line in whole.split("\n") if line.startswith("{")]

    def logged(self, request_id: str) -> dict[str, Any]:
        """The log line of a request; waits for it, since lines are written together."""
        return until(
            lambda: next((line for line in self.log if line["request_id"] == request_id), None), f"log line {request_id}"
        )

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
        """Another command on the same project, beside the running gateway."""
        return wws(*arguments, "--config", str(self.config), cwd=self.folder, env={**self._given, **(env or {})})

    def create_key(self, *options: str) -> dict[str, Any]:
        """A new API key, as `wws keys create --json` prints it."""
        ran = self.run("keys", "create", "--json", "--name", "test", *options)
        assert ran.status == 0, ran.out + ran.err
        made: dict[str, Any] = json.loads(ran.out)
        return made
