"""The check that the installed program is this tree's."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

import pytest

from tests.support import installed


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(folder))


def test_an_editable_install_is_always_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path, monkeypatch)
    installed.require_current()
    assert not (tmp_path / "wws").exists()


def test_a_wheel_of_the_same_sources_is_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(installed.SOURCE, tmp_path / "wws")
    use(tmp_path, monkeypatch)
    installed.require_current()
    assert (tmp_path / "wws" / "gateway.py").exists()


@pytest.mark.parametrize("change", ["edited", "missing"])
def test_a_wheel_of_other_sources_ends_the_run_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    shutil.copytree(installed.SOURCE, tmp_path / "wws")
    file = tmp_path / "wws" / "gateway.py"
    if change == "edited":
        file.write_text("# other\n")
    else:
        file.unlink()
    use(tmp_path, monkeypatch)
    with pytest.raises(pytest.exit.Exception, match=r"gateway\.py is newer than the installed wws: say `make test`"):
        installed.require_current()
