"""Cloudflare's Python SDK, the module `workers`: runtimes of today do not bring it, so it is shipped with a worker.

Fetched once by pip, with its hash, and kept in the user's cache; nothing of it is changed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from wws.errors import WwsError

__all__ = ["VERSION", "sdk_files"]

VERSION = "1.9.5"
_NAME = "workers-runtime-sdk"
_WHEEL = f"workers_runtime_sdk-{VERSION}-py3-none-any.whl"
_SHA256 = "f2b912660a3ab60d2a24920106422f9eaf4cd7a794e42b022237ad2444287fef"
_PATIENCE = 120.0


def sdk_files(environ: Mapping[str, str]) -> dict[str, bytes]:
    """The SDK's files by their names in `python_modules`. Raises `WwsError` that says how to get it where pip cannot."""
    folder = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wws"
    wheel = folder / _WHEEL
    if not _is_it(wheel):
        _fetch(folder, environ)
    if not _is_it(wheel):
        raise WwsError(f"{wheel} is not the {_NAME} {VERSION} of PyPI: remove it and build again")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith((".pyi", "/RECORD")) and ".." not in name]
        return {name: archive.read(name) for name in names}


def _is_it(wheel: Path) -> bool:
    try:
        return hashlib.sha256(wheel.read_bytes()).hexdigest() == _SHA256
    except OSError:
        return False


def _fetch(folder: Path, environ: Mapping[str, str]) -> None:
    by_hand = f"fetch it with: pip download --no-deps --dest {folder} {_NAME}=={VERSION}"
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "requirements.txt"
        wanted.write_text(f"{_NAME}=={VERSION} --hash=sha256:{_SHA256}\n")
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
        ]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            done = subprocess.run(  # noqa: S603 (our own interpreter, fixed arguments)
                [*command, "--dest", str(folder), "--requirement", str(wanted)],
                env=dict(os.environ) if environ is os.environ else {**os.environ, **environ},
                capture_output=True,
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise WwsError(f"{_NAME} {VERSION} could not be fetched ({type(error).__name__}); {by_hand}") from None
    if done.returncode:
        raise WwsError(f"{_NAME} {VERSION} could not be fetched by pip; {by_hand}")
