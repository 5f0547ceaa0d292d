"""A bundle for a gateway of one's own: `wws deploy` sends it to the gateway's admin listener."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import tomllib
from pathlib import Path

from wws._version import __version__
from wws.errors import ConfigError, Problem
from wws.project.bundle import SUFFIX, pack
from wws.project.exposed import exposed
from wws.project.files import CONFIG, project_files
from wws.project.settings import Project
from wws.project.targets import Built

__all__ = ["build"]

FOLDER = Path(".wws") / "bundles"


def build(project: Project, out: Path | None) -> Built:
    """Writes `.wws/bundles/NAME-VERSION.wws` beside wws.toml, or the file `out`. Raises `ConfigError`, `BundleError`."""
    files = _contents(project.path)
    text = files[CONFIG].decode("utf-8-sig")
    if found := exposed(text, str(project.path)):
        raise ConfigError(found)
    version, data = pack(project.policy.name, __version__, _policy_version(text), files)
    path = project.folder / FOLDER / f"{project.policy.name}-{version}{SUFFIX}" if out is None else out
    try:
        _write(path, data)
    except OSError as error:
        raise ConfigError([Problem(str(path), None, "", f"cannot be written: {error.strerror}")]) from None
    return Built(path, version, len(files), len(data))


def _contents(config: Path) -> dict[str, bytes]:
    problems: list[Problem] = []
    found: dict[str, bytes] = {}
    for name, path in project_files(config).items():
        try:
            found[name] = path.read_bytes()
        except OSError as error:
            problems.append(Problem(str(path), None, "", f"cannot be read: {error.strerror}"))
    if problems:
        raise ConfigError(problems)
    return found


def _policy_version(text: str) -> str:
    """Of wws.toml as it is written: comments, order, and what its variables hold make no difference."""
    document = json.dumps(tomllib.loads(text), sort_keys=True, default=str)
    return hashlib.sha256(document.encode()).hexdigest()[:12]


def _write(path: Path, data: bytes) -> None:
    """The whole file or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=".bundle-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
