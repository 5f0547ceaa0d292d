from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.run import process, wws
from wws.cli.launch import Start, launch, locate_file, plain, project_of
from wws.cli.main import run
from wws.errors import ConfigError, StoreError
from wws.project.settings import Project

READY = '[origin]\nurl = "http://127.0.0.1:3000"\n[providers.synthetic]\napi_key = "${SYNTHETIC_API_KEY}"\n'


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["serve"], Start("serve")),
        (["dev"], Start("dev")),
        (["dev", "--demo"], Start("dev", None, True)),
        (["serve", "--config", "a.toml"], Start("serve", "a.toml")),
        (["serve", "--config=a=b.toml", "--demo"], Start("serve", "a=b.toml", True)),
        (["serve", "--config"], None),
        (["serve", "--help"], None),
        (["serve", "--json"], None),
        (["serve", "extra"], None),
        (["serve", "--demo=yes"], None),
        (["check"], None),
        (["--help"], None),
        ([], None),
    ],
)
def test_only_plain_starts_take_the_short_way(arguments: list[str], start: Start | None) -> None:
    assert plain(arguments) == start


def test_which_file() -> None:
    assert locate_file(None, {}) == (Path("wws.toml"), False)
    assert locate_file(None, {"WWS_CONFIG": ""}) == (Path("wws.toml"), False)
    assert locate_file(None, {"WWS_CONFIG": "a.toml"}) == (Path("a.toml"), True)
    assert locate_file("b.toml", {"WWS_CONFIG": "a.toml"}) == (Path("b.toml"), True)


def test_serve_needs_a_file(folder: Path) -> None:
    with pytest.raises(ConfigError, match="wws.toml: there is no such file; `wws init` writes one"):
        project_of(Start("serve"), {})


def test_dev_does_without_unless_one_was_named(folder: Path) -> None:
    assert project_of(Start("dev"), {}).policy.name == "wws"
    with pytest.raises(ConfigError, match="none.toml: there is no such file"):
        project_of(Start("dev", "none.toml"), {})


def test_serve_needs_every_secret_and_dev_or_demo_do_not(folder: Path) -> None:
    (folder / "wws.toml").write_text(READY)
    with pytest.raises(ConfigError, match="wws.toml:4: providers.synthetic.api_key: SYNTHETIC_API_KEY is not set"):
        project_of(Start("serve"), {})
    for start in (Start("dev"), Start("serve", None, True)):
        assert project_of(start, {}).policy.providers["synthetic"].api_key is None
    assert project_of(Start("serve"), {"SYNTHETIC_API_KEY": "k"}).policy.providers["synthetic"].api_key == "k"


def test_dev_with_demo_uses_nothing_that_is_configured(folder: Path) -> None:
    (folder / "wws.toml").write_text(READY)
    found = project_of(Start("dev", None, True), {"SYNTHETIC_API_KEY": "k"})
    assert (found.policy.providers, found.policy.origins) == ({}, {})


class Served:
    """Stands where the server starts; remembers what it was asked to serve."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        self.calls: list[tuple[Project, bool]] = []
        self.error = error
        module = types.ModuleType("wws.hosts.server.main")
        module.serve = self.serve  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "wws.hosts.server.main", module)

    def serve(self, project: Project, demo: bool, load: Callable[[], Project], dev: bool) -> int:
        assert load().policy.version == project.policy.version  # what a reload reads is the same file
        self.calls.append((project, demo))
        if self.error is not None:
            raise self.error
        return 0


@pytest.mark.parametrize(
    ("arguments", "demo"),
    [
        (("dev",), True),
        (("dev", "--demo"), True),
        (("serve", "--demo"), True),
        (("serve", "--config", "ready.toml"), False),
        (("serve", "--json", "--config", "ready.toml"), False),
        (("dev", "--json"), True),
    ],
)
def test_both_ways_start_the_same_thing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], demo: bool
) -> None:
    monkeypatch.setenv("SYNTHETIC_API_KEY", "k")
    for name in ("wws.toml", "ready.toml"):
        (folder / name).write_text(READY)
    served = Served(monkeypatch)
    assert wws(*arguments).status == 0
    if start := plain(arguments):
        assert launch(start) == 0
    assert [call[1] for call in served.calls] == [demo] * len(served.calls)
    assert len({call[0].policy.version for call in served.calls}) == 1


def test_warnings_are_shown_before_it_starts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Served(monkeypatch)
    (folder / "wws.toml").write_text(READY)
    launch(Start("dev"))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "warning: wws.toml: auth.supabase_url: is not set: sessions are off" in shown.err
    assert "warning: wws.toml:4: providers.synthetic.api_key: SYNTHETIC_API_KEY is not set" in shown.err


def test_without_a_file_dev_says_so_and_demo_says_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Served(monkeypatch)
    launch(Start("dev"))
    told = "warning: wws.toml: there is no such file: the defaults are served; `wws init` writes one to start from\n"
    routes = "  /api/ai/*  ai      auth required\n  /v1/*      ai      auth required\n  /*         origin  auth optional\n"
    assert capsys.readouterr().err == told + routes
    launch(Start("dev", None, True))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (StoreError("the disk is full"), 1, "error: the disk is full\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_the_entry_ends_with_a_line_and_a_status(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
    told: str,
) -> None:
    Served(monkeypatch, error)
    monkeypatch.setattr(sys, "argv", ["wws", "dev", "--demo"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == status
    assert capsys.readouterr().err == told


def test_every_problem_is_a_line_on_standard_error(folder: Path) -> None:
    (folder / "wws.toml").write_text('x = 1\n[server]\nlisten = "nowhere"\n' + READY)
    done = process("serve", cwd=folder)
    assert (done.status, done.out) == (1, "")
    assert [line.split(" ")[1] for line in done.err.splitlines()] == ["wws.toml:1:", "wws.toml:3:", "wws.toml:7:"]
