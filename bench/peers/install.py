"""Installing a peer, pinned, into a folder of its own. Nothing of it runs while it is installed.

Only built packages are taken and npm's install scripts are off. Python runs the lines of every `.pth` file that begin with
`import` at each start; two releases of a gateway carried their theft of credentials in one, so a folder with a `.pth` file
that is not known is refused.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.errors import BenchError
from bench.machine import WORK

__all__ = ["FOLDER", "npm", "python", "unknown_start_files"]

FOLDER = WORK / "peers"
_KNOWN_START_FILES = {"distutils-precedence.pth"}


def _run(what: str, command: list[str], cwd: Path, patience: float = 900.0) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=patience, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{what} could not be installed: {error}") from error
    if done.returncode != 0:
        raise BenchError(f"{what} could not be installed: {(done.stderr or done.stdout).strip()[-400:]}")


def unknown_start_files(folder: Path) -> list[str]:
    """Names of the files below `folder` that Python would run at every start, those of setuptools aside."""
    return sorted(path.name for path in folder.rglob("*.pth") if path.name not in _KNOWN_START_FILES)


def python(requirement: str, name: str) -> Path:
    """A virtual environment with `requirement` in it, made once; its folder. Raises `BenchError` with the reason."""
    folder = FOLDER / name
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == requirement:
        return folder
    FOLDER.mkdir(parents=True, exist_ok=True)
    _run(requirement, [sys.executable, "-m", "venv", "--clear", str(folder)], FOLDER)
    pip = [
        str(folder / "bin" / "python"),
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-cache-dir",
    ]
    _run(requirement, [*pip, "--only-binary", ":all:", requirement], FOLDER)
    found = unknown_start_files(folder)
    if found:
        raise BenchError(
            f"{requirement} was installed but not started: it brings {', '.join(found)}, which Python runs at every start"
        )
    stamp.write_text(requirement)
    return folder


def npm(package: str, version: str, name: str) -> Path:
    """A folder with the npm package in its node_modules, made once. Raises `BenchError` with the reason."""
    folder = FOLDER / name
    stamp = folder / "installed"
    requirement = f"{package}@{version}"
    if stamp.exists() and stamp.read_text() == requirement:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"private": True}))
    _run(requirement, ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", requirement], folder)
    stamp.write_text(requirement)
    return folder
