"""Deno itself: found where it is installed, run in a folder that was built for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from wws.errors import WwsError

__all__ = ["VERSION", "deno", "tool"]

VERSION = "2.9.6"


def tool(environ: Mapping[str, str], beside: Path) -> str:
    """deno's path: of the project's own node_modules, else of PATH. Raises `WwsError` that says how to get it."""
    for folder in (beside, *beside.parents):
        own = folder / "node_modules" / ".bin" / "deno"
        if own.is_file():
            return str(own)
    found = shutil.which("deno", path=environ.get("PATH"))
    if found is None:
        raise WwsError(f"deno is not installed: npm install --global deno@{VERSION}, or see docs.deno.com/runtime")
    return found


def deno(folder: Path, arguments: Sequence[str], environ: Mapping[str, str], beside: Path) -> int:
    """Runs `deno ARGUMENTS` in the built `folder` with this terminal; its exit status."""
    try:
        command = [tool(environ, beside.resolve()), *arguments]
        return subprocess.run(command, cwd=folder, env=dict(environ), check=False).returncode  # noqa: S603  # the user's own tool
    except KeyboardInterrupt:  # Ctrl-C goes to both, and ends both
        return 130 if os.name == "posix" else 1
