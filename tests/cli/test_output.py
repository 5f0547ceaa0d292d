from __future__ import annotations

import json

import pytest

from wws.cli.output import fail, note, print_json, print_line, print_table, problem_fields
from wws.errors import ConfigError, Problem, StoreError

PROBLEMS = [Problem("wws.toml", 3, "server.listen", "found 1"), Problem("wws.toml", None, "", "no such file")]


def test_results_go_to_standard_output_and_remarks_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("result")
    note("remark")
    assert capsys.readouterr() == ("result\n", "remark\n")


def test_json_is_one_value_and_keeps_its_letters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "M\u00fcller", "n": None})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"name": "M\u00fcller", "n": None}
    assert "M\u00fcller" in shown


def test_a_problem_as_fields() -> None:
    assert problem_fields(PROBLEMS[0]) == {"file": "wws.toml", "line": 3, "key": "server.listen", "message": "found 1"}


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (ConfigError(PROBLEMS), ["error: wws.toml:3: server.listen: found 1", "error: wws.toml: no such file"]),
        (StoreError("the disk is full"), ["error: the disk is full"]),
        ("there is no such key", ["error: there is no such key"]),
    ],
)
def test_a_failure_is_told_on_standard_error(
    error: ConfigError | StoreError | str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail(error) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()) == ("", lines)


def test_a_failure_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(ConfigError(PROBLEMS), as_json=True) == 1
    shown = capsys.readouterr()
    assert shown.err == ""
    assert json.loads(shown.out)["error"]["problems"] == [problem_fields(problem) for problem in PROBLEMS]
    fail(StoreError("gone"), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"error": {"message": "gone", "problems": []}}


def test_a_pipe_gets_tab_separated_rows_without_headings(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id", "name"), [("1", "a b"), ("2", "[c]")])
    assert capsys.readouterr().out == "1\ta b\n2\t[c]\n"
