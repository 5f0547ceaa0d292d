"""`python -m bench` as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.machine import ROOT, facts


def _bench(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **({"PATH": str(path)} if path else {})}
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=50, check=False)


def test_help_names_the_shapes() -> None:
    done = _bench("--help")
    assert done.returncode == 0
    assert "prompt-200k" in done.stdout and "--quick" in done.stdout


def test_a_machine_without_the_tools_is_told_how_to_get_them(tmp_path: Path) -> None:
    done = _bench("--quick", path=tmp_path)
    assert done.returncode == 1
    assert "apt-get install nginx-light wrk" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("--only", "speed"), ("--rounds", "many"), ("--unknown",)])
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    done = _bench(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_facts_name_the_machine_and_the_versions() -> None:
    known = facts()
    assert {"CPU", "kernel", "Python", "nginx", "wrk", "WWS"} <= set(known)
    assert "uvloop 0." in known["libraries"]
    assert all(known.values())
