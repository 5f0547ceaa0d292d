"""Commands run in an empty folder, with nothing of the caller's environment that would matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from wws.cli.launch import VARIABLE
from wws.project import pepper

NAMES = (VARIABLE, pepper.VARIABLE, "SYNTHETIC_API_KEY", "ZAI_API_KEY", "SUPABASE_PUBLISHABLE_KEY")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path
