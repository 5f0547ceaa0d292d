"""Cloudflare's own tool: found where it is installed, run on a folder that was built for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from wws.errors import WwsError

__all__ = ["VERSION", "tool", "wrangler"]

VERSION = "4.86.0"
"""The last one for Node 20; newer ones need Node 22 and do as well."""


def tool(environ: Mapping[str, str], beside: Path) -> str:
    """wrangler's path: of the project's own node_modules, else of PATH. Raises `WwsError` that says how to get it."""
    for folder in (beside, *beside.parents):
        own = folder / "node_modules" / ".bin" / "wrangler"
        if own.is_file():
            return str(own)
    found = shutil.which("wrangler", path=environ.get("PATH"))
    if found is None:
        raise WwsError(f"wrangler is not installed: npm install --global wrangler@{VERSION} (or newer, with Node 22)")
    return found


def wrangler(folder: Path, arguments: Sequence[str], environ: Mapping[str, str], beside: Path) -> int:
    """Runs `wrangler ARGUMENTS` on the built `folder` with this terminal; its exit status."""
    command = [tool(environ, beside.resolve()), *arguments, "--config", str(folder / "wrangler.jsonc")]
    try:
        return subprocess.run(command, env=dict(environ), check=False).returncode  # noqa: S603  # the user's own tool
    except KeyboardInterrupt:  # Ctrl-C goes to both, and ends both
        return 130 if os.name == "posix" else 1
