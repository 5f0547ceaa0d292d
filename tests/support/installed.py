"""Is the installed program the one in this tree? Tests that start `wws` would otherwise test yesterday's."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "wws"


def require_current() -> None:
    """Ends the test run with a word of advice when the wheel in this environment was built from other sources."""
    installed = Path(sysconfig.get_path("purelib")) / "wws"
    if not installed.is_dir():
        return  # an editable install is the tree itself
    old = [file for file in SOURCE.rglob("*.py") if not _same(file, installed / file.relative_to(SOURCE))]
    if old:
        pytest.exit(
            f"{old[0].relative_to(SOURCE)} is newer than the installed wws: say `make test`, which installs it again, "
            "or `WWS_PURE=1 make --always-make .venv/run.stamp` once, and every edit counts at once",
            returncode=4,
        )


def _same(file: Path, other: Path) -> bool:
    return other.is_file() and file.read_bytes() == other.read_bytes()
