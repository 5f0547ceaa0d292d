"""Programs of a run: pinned, ended by pid, their output at hand when they fail."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bench.errors import BenchError, Missing
from bench.machine import SERVER_CORE, free_port, require
from bench.process import Program, wait_listening

_SLEEP = "import time; time.sleep(60)"


def _python(tmp_path: Path, code: str, env: dict[str, str] | None = None) -> Program:
    return Program("child", SERVER_CORE, [sys.executable, "-c", code], tmp_path / "logs" / "out.log", env)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _wait_for(path: Path) -> str:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if path.exists() and path.read_text().strip():
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError(f"{path} stays empty")


def test_a_program_is_pinned_and_ends_on_leaving(tmp_path: Path) -> None:
    code = "import os, time; print(os.getpid(), os.sched_getaffinity(0), os.environ['X'], flush=True); time.sleep(60)"
    with _python(tmp_path, code, {"X": "given"}) as program:
        assert _wait_for(program.log) == f"{program.pid} {{{SERVER_CORE}}} given\n"
        assert program.alive()
    assert not program.alive()


def test_a_program_can_be_kept_from_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_SECRET", "ours")
    code = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}), flush=True)"
    command = [sys.executable, "-c", code]
    with Program("child", SERVER_CORE, command, tmp_path / "log", {"GIVEN": "1"}, inherit=("PATH",)) as program:
        assert _wait_for(program.log) == "['GIVEN', 'PATH']\n"


def test_children_end_with_it_even_when_it_ignores_the_signal(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-c', {_SLEEP!r}])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    program = _python(tmp_path, code)
    child = int(_wait_for(program.log))
    program.stop(patience=0.3)
    assert not program.alive()
    until = time.monotonic() + 5
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _runs(child)


def test_an_early_end_is_told_with_the_output(tmp_path: Path) -> None:
    program = _python(tmp_path, "import sys; print('no such setting'); sys.exit(3)")
    with program, pytest.raises(BenchError, match=r"(?s)status 3.*no such setting"):
        wait_listening(program, free_port())


def test_a_program_that_never_listens(tmp_path: Path) -> None:
    with _python(tmp_path, _SLEEP) as program, pytest.raises(BenchError, match="does not listen"):
        wait_listening(program, free_port(), patience=0.1)


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    program = _python(tmp_path, _SLEEP)
    program.stop()
    program.stop()
    assert program.tail() == "(no output)"


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="nginx, wrk.*apt-get install nginx-light wrk"):
        require("nginx", "wrk")


def test_only_the_tool_that_is_missing_is_named() -> None:
    with pytest.raises(Missing) as raised:
        require(os.path.basename(sys.executable), "no-such-tool")
    assert "no-such-tool" in str(raised.value) and os.path.basename(sys.executable) not in str(raised.value)
