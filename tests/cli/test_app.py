"""What holds for every command: help, options, statuses, and where things are printed."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.run import process, wws
from wws._version import __version__
from wws.cli.app import COMMANDS

EVERY = [
    ("init",),
    ("dev",),
    ("serve",),
    ("check",),
    ("route",),
    ("routes",),
    ("keys", "create"),
    ("keys", "list"),
    ("keys", "revoke"),
    ("sessions", "purge"),
    ("queues", "list"),
    ("queues", "peek"),
    ("queues", "redrive"),
    ("queues", "purge"),
    ("trigger",),
    ("status",),
    ("state", "export"),
    ("state", "import"),
    ("state", "stats"),
    ("build",),
    ("deploy",),
    ("versions",),
    ("rollback",),
    ("rollout",),
    ("tail",),
    ("cost",),
    ("secrets", "put"),
    ("secrets", "list"),
    ("secrets", "delete"),
]


def test_the_list_here_is_complete() -> None:
    assert {names[0] for names in EVERY} == set(COMMANDS)
    for name in ("keys", "sessions", "queues", "state", "secrets"):
        listed = re.findall(r"^  (\w+) +[A-Z]", wws(name, "--help").out.split("Commands:")[1], re.MULTILINE)
        assert {names[1] for names in EVERY if names[0] == name} == set(listed)


@pytest.mark.parametrize("names", EVERY, ids=" ".join)
def test_each_has_help_with_an_example_and_the_common_options(names: tuple[str, ...]) -> None:
    done = wws(*names, "--help")
    assert done.status == 0
    assert f"Usage: wws {' '.join(names)}" in done.out
    assert re.search(rf"Example:\n +wws {' '.join(names)}", done.out)
    for option in ("--config FILE", "--json", "--help"):
        assert option in done.out


@pytest.mark.parametrize("names", EVERY, ids=" ".join)
def test_an_unknown_option_is_a_usage_error(names: tuple[str, ...]) -> None:
    done = wws(*names, "--nonsense")
    assert (done.status, done.out) == (2, "")
    assert "No such option" in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_each_is_one_file(command: str) -> None:
    module = importlib.import_module(COMMANDS[command])
    assert module.__name__ == f"wws.cli.{command}"
    assert module.__doc__ is not None


def test_an_unknown_command_is_a_usage_error() -> None:
    done = wws("deplyo")
    assert (done.status, done.out) == (2, "")
    assert "No such command 'deplyo'" in done.err


def test_help_lists_the_commands_in_the_order_of_work(folder: Path) -> None:
    done = process("--help")
    assert done.status == 0
    listed = re.findall(r"^  (\w+) +[A-Z]", done.out.split("Commands:")[1], re.MULTILINE)
    assert listed == list(COMMANDS)


def test_the_version() -> None:
    assert wws("--version") == (0, f"wws {__version__}\n", "")


@pytest.mark.parametrize(
    "names", [("check",), ("route",), ("keys", "list"), ("sessions", "purge", "--all"), ("serve",), ("dev",)], ids=" ".join
)
def test_a_file_that_was_named_must_be_there(folder: Path, names: tuple[str, ...]) -> None:
    done = process(*names, "--config", "none.toml")
    assert done.status == 1
    assert "none.toml" in done.out + done.err
    assert "there is no such file; `wws init` writes one to start from" in done.out + done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("names", [("keys", "list"), ("sessions", "purge", "--all"), ("route",)], ids=" ".join)
def test_a_bad_file_is_told_for_machines_with_every_problem(folder: Path, names: tuple[str, ...]) -> None:
    (folder / "wws.toml").write_text("a = 1\nb = 2\n")
    done = wws(*names, "--json")
    assert done.status == 1
    problems = done.json["error"]["problems"]
    assert [(problem["file"], problem["line"], problem["key"]) for problem in problems] == [
        ("wws.toml", 1, "a"),
        ("wws.toml", 2, "b"),
    ]
    plain = wws(*names)
    assert (plain.status, plain.out) == (1, "")
    assert plain.err.splitlines()[0].startswith("error: wws.toml:1: a: unknown key")


def test_the_variable_names_the_file_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "other.toml").write_text("a = 1\n")
    monkeypatch.setenv("WWS_CONFIG", "other.toml")
    assert "other.toml:1" in process("check").out
    assert "other.toml:1" in process("serve").err
    (folder / "third.toml").write_text("b = 1\n")
    assert "third.toml:1" in process("check", "--config", "third.toml").out


def test_starting_the_gateway_does_not_load_the_command_line_library() -> None:
    code = (
        "import sys; from wws.cli.main import run; import wws.cli.launch\n"
        "sys.exit(sorted({'typer', 'rich', 'click', 'wws.cli.app', 'http.client', 'difflib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() in ("", "[]")
