from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.run import process, wws
from wws.project.load import load


def test_an_empty_folder_becomes_a_project_that_checks(folder: Path) -> None:
    done = process("init", cwd=folder)
    assert done.status == 0
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        ".dev.vars.example",
        ".gitignore",
        "functions/hello.py",
        "wws.toml",
    ]
    assert "next: wws check, then wws dev" in done.out
    checked = process("check", cwd=folder)
    assert (checked.status, checked.err) == (0, "")
    assert "wws.toml: good" in checked.out


def test_with_the_example_filled_in_it_can_be_served(folder: Path) -> None:
    wws("init")
    assert wws("check", "--strict").status == 1
    example = (folder / ".dev.vars.example").read_text()
    (folder / ".dev.vars").write_text(example.replace("=\n", "=value\n"))
    assert wws("check", "--strict").status == 0
    assert load(folder / "wws.toml", environ={}).policy.providers["zai"].api_key == "value"


def test_another_folder_and_name(folder: Path) -> None:
    done = wws("init", "My Project", "--json")
    assert done.json["created"] == [
        "My Project/wws.toml",
        "My Project/.dev.vars.example",
        "My Project/functions/hello.py",
        "My Project/.gitignore",
    ]
    assert load(folder / "My Project" / "wws.toml", environ={}, allow_missing=True).policy.name == "My-Project"
    wws("init", "b", "--name", "chosen")
    assert load(folder / "b" / "wws.toml", environ={}, allow_missing=True).policy.name == "chosen"


def test_config_names_the_file(folder: Path) -> None:
    assert wws("init", "--config", "deploy/edge.toml").status == 0
    assert (folder / "deploy" / "edge.toml").is_file()
    assert (folder / "deploy" / "functions" / "hello.py").is_file()
    assert wws("init", "x", "--config", "y.toml").status == 2


def test_nothing_that_exists_is_overwritten(folder: Path) -> None:
    (folder / "wws.toml").write_text("mine")
    (folder / "functions").mkdir()
    (folder / "functions" / "hello.py").write_text("mine too")
    done = wws("init", "--json")
    assert done.json == {
        "created": [".dev.vars.example", ".gitignore"],
        "changed": [],
        "kept": ["wws.toml", "functions/hello.py"],
    }
    assert (folder / "wws.toml").read_text() == "mine"
    assert (folder / "functions" / "hello.py").read_text() == "mine too"
    assert wws("init", "--json").json["created"] == []


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        ("node_modules/\n", "node_modules/\n.dev.vars\n.wws/\n", "changed"),
        ("node_modules/", "node_modules/\n.dev.vars\n.wws/\n", "changed"),
        ("", ".dev.vars\n.wws/\n", "changed"),
        (".dev.vars\n", ".dev.vars\n.wws/\n", "changed"),
        ("/.dev.vars\n.wws\n", "/.dev.vars\n.wws\n", "kept"),
    ],
)
def test_an_ignore_file_gets_only_what_it_lacks(folder: Path, before: str, after: str, state: str) -> None:
    (folder / ".gitignore").write_text(before)
    assert ".gitignore" in wws("init", "--json").json[state]
    assert (folder / ".gitignore").read_text() == after


def test_a_folder_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "file").touch()
    done = wws("init", "file")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: file")
    assert "Traceback" not in done.err


def test_files_can_be_read_by_others_of_the_project(folder: Path) -> None:
    mask = os.umask(0o022)
    try:
        wws("init")
    finally:
        os.umask(mask)
    assert (folder / "wws.toml").stat().st_mode & 0o777 == 0o644
