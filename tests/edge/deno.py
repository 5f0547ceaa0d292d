"""Deno from edge/node_modules, and a folder that `wws build --target deno` made, ready to run with it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

__all__ = ["DENO", "RUN", "environment", "prepare"]

MODULES = Path(__file__).parents[2] / "edge" / "node_modules"
_MACHINE = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
DENO = MODULES / "@deno" / f"linux-{_MACHINE}-glibc" / "deno"
"""The program itself: npm's `deno` is a parent process that would have to be ended with it."""
OPTIONS = ("--no-remote", "--node-modules-dir=manual", "--allow-net", "--allow-read", "--allow-write", "--allow-env")
RUN = (str(DENO), "run", *OPTIONS)
_PATIENCE = 60.0


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The caller's, with `extra`; Deno asks nobody whether there is a newer one."""
    return {**os.environ, "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1", **extra}


def prepare(folder: Path, *, snapshot: bool) -> None:
    """What `deno install` and `deno task snapshot` do where it is deployed."""
    link = folder / "node_modules"
    if not link.exists():
        link.symlink_to(MODULES)
    if snapshot:
        done = subprocess.run(
            [*RUN, "snapshot.ts"], cwd=folder, env=environment({}), capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
