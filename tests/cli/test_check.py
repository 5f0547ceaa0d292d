from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.run import process, wws
from wws.cli import output
from wws.core.route.catalogue import CATALOGUE_DATE

GOOD = '[origin]\nurl = "http://127.0.0.1:3000"\n[providers.zai]\napi_key = "${ZAI_API_KEY}"\n[models]\ncode = "zai/glm-4.7"\n'


def test_a_good_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "wws.toml").write_text(GOOD)
    monkeypatch.setenv("ZAI_API_KEY", "k")
    done = wws("check")
    assert done.status == 0
    assert done.out.splitlines() == [
        "warning\twws.toml\tauth.supabase_url\tis not set: sessions are off, only API keys are accepted",
        "wws.toml: good, with 1 warning",
    ]


def test_for_machines(folder: Path) -> None:
    (folder / "wws.toml").write_text("naem = 1\n" + GOOD)
    done = wws("check", "--json")
    assert (done.status, done.err) == (1, "")
    assert done.json["ok"] is False
    assert done.json["errors"] == [{"file": "wws.toml", "line": 1, "key": "naem", "message": 'unknown key; did you mean "name"?'}]
    assert {warning["key"] for warning in done.json["warnings"]} == {"auth.supabase_url", "providers.zai.api_key"}


def test_errors_and_warnings_all_at_once_and_status_1(folder: Path) -> None:
    (folder / "wws.toml").write_text("a = 1\nb = 2\n" + GOOD)
    done = process("check", cwd=folder)
    assert done.status == 1
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [row[:3] for row in rows] == [
        ["error", "wws.toml:1", "a"],
        ["error", "wws.toml:2", "b"],
        ["warning", "wws.toml", "auth.supabase_url"],
        ["warning", "wws.toml:6", "providers.zai.api_key"],
    ]


def test_strict_is_as_serve_sees_it(folder: Path) -> None:
    (folder / "wws.toml").write_text(GOOD)
    assert wws("check").status == 0
    done = wws("check", "--strict")
    assert done.status == 1
    assert "error\twws.toml:4\tproviders.zai.api_key\tZAI_API_KEY is not set" in done.out


def test_no_file_is_an_error(folder: Path) -> None:
    done = wws("check", "--json")
    assert done.status == 1
    assert done.json["errors"][0]["message"] == "there is no such file; `wws init` writes one to start from"


def test_a_model_that_is_not_in_the_catalogue_is_a_warning_with_the_nearest(folder: Path) -> None:
    (folder / "wws.toml").write_text(GOOD.replace("zai/glm-4.7", "zai/glm-4-flash"))
    done = wws("check", "--json")
    assert done.status == 0
    [found] = [warning for warning in done.json["warnings"] if warning["key"] == "models.code"]
    assert found["line"] == 6
    assert found["message"].startswith(
        f"zai/glm-4-flash is not in the catalogue of {CATALOGUE_DATE}; the nearest is zai/glm-4.7-flash;"
    )


def test_a_terminal_gets_a_table(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    output.print_table(("", "where", "what"), [("error", "wws.toml:1", "a long message with [brackets] " * 4)], loose=2)
    shown = capsys.readouterr().out
    assert "where" in shown
    assert "wws.toml:1" in shown
    assert shown.count("[brackets]") == 4
    assert max(map(len, re.sub("\x1b[^m]*m", "", shown).splitlines())) <= 60
