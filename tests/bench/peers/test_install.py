"""Installing peers: nothing that Python would run by itself, and reasons where it fails. No registry is asked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.peers import install


def test_start_files_of_a_package_are_found_at_any_depth(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "distutils-precedence.pth").write_text("import os")
    assert install.unknown_start_files(tmp_path) == []
    (packages / "helper_init.pth").write_text("import helper")
    assert install.unknown_start_files(tmp_path) == ["helper_init.pth"]


class _Commands:
    """Stands in for subprocess.run: notes commands, does what `effect` says."""

    def __init__(self, status: int = 0) -> None:
        self.seen: list[list[str]] = []
        self.status = status
        self.brings: str | None = None

    def __call__(self, command: list[str], cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
        self.seen.append(command)
        if "venv" in command:
            (Path(command[-1]) / "bin").mkdir(parents=True, exist_ok=True)
        if "install" in command and self.brings:
            (Path(command[0]).parent.parent / self.brings).write_text("import bad")
        return subprocess.CompletedProcess(command, self.status, "", "no matching distribution")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Commands:
    stand_in = _Commands()
    monkeypatch.setattr(subprocess, "run", stand_in)
    monkeypatch.setattr(install, "FOLDER", tmp_path)
    return stand_in


def test_a_python_peer_is_installed_once_from_wheels_only(commands: _Commands, tmp_path: Path) -> None:
    assert install.python("peer==1.0", "peer") == tmp_path / "peer"
    assert len(commands.seen) == 2
    assert commands.seen[1][-3:] == ["--only-binary", ":all:", "peer==1.0"]
    install.python("peer==1.0", "peer")
    assert len(commands.seen) == 2
    install.python("peer==1.1", "peer")
    assert len(commands.seen) == 4


def test_a_peer_with_a_start_file_is_not_used(commands: _Commands, tmp_path: Path) -> None:
    commands.brings = "peer_init.pth"
    for _ in range(2):  # and it is not taken for installed afterwards
        with pytest.raises(BenchError, match=r"peer_init\.pth"):
            install.python("peer==1.0", "peer")


def test_an_npm_peer_is_installed_without_its_scripts(commands: _Commands, tmp_path: Path) -> None:
    assert install.npm("@peer/gateway", "1.2.3", "peer") == tmp_path / "peer"
    assert "--ignore-scripts" in commands.seen[0]
    assert commands.seen[0][-1] == "@peer/gateway@1.2.3"
    install.npm("@peer/gateway", "1.2.3", "peer")
    assert len(commands.seen) == 1


def test_a_failed_installation_tells_why(commands: _Commands) -> None:
    commands.status = 1
    with pytest.raises(BenchError, match="peer==9 could not be installed: no matching distribution"):
        install.python("peer==9", "peer")
    with pytest.raises(BenchError, match="could not be installed"):
        install.npm("peer", "9", "npm-peer")


def test_a_missing_program_tells_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "FOLDER", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match="No such file"):
        install.npm("peer", "1", "peer")
