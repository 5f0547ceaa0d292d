from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.errors import Problem
from wws.project.environment import DEV_VARS, Environment, Expansion, parse_dev_vars, read_environment


def test_a_reference_takes_the_value_and_tells_its_name() -> None:
    environment = Environment({"HOST": "db.internal", "PORT": "5432"})
    assert environment.expand("plain $HOST $ {HOST}") == Expansion("plain $HOST $ {HOST}")
    assert environment.expand("http://${HOST}:${PORT}/") == Expansion("http://db.internal:5432/", ("HOST", "PORT"))


def test_missing_names_are_told_all() -> None:
    assert Environment({"A": "a"}).expand("${A}${B}${C}") == Expansion("a", ("A", "B", "C"), ("B", "C"))


def test_the_environment_comes_before_dev_vars() -> None:
    environment = Environment({"A": "process", "B": ""}, {"A": "file", "B": "file", "C": "file"})
    assert [environment.get(name) for name in "ABCD"] == ["process", "file", "file", None]


def test_an_empty_variable_counts_as_absent() -> None:
    assert Environment({"A": ""}).expand("${A}").missing == ("A",)


def test_a_value_is_not_expanded_again() -> None:
    assert Environment({"A": "${B}", "B": "b"}).expand("${A}").text == "${B}"


@pytest.mark.parametrize(("text", "expanded"), [("$${A}", "${A}"), ("$$${A}", "$${A}"), ("a$${", "a${"), ("$$", "$$")])
def test_a_doubled_dollar_escapes(text: str, expanded: str) -> None:
    assert Environment({"A": "a"}).expand(text) == Expansion(expanded)


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${1A}", "${A B}", "${A-B}", "x ${A:-default}", "${\u00c4}"])
def test_what_begins_like_a_reference_must_be_one(text: str) -> None:
    with pytest.raises(ValueError, match="begins no reference"):
        Environment({"A": "a"}).expand(text)


@given(st.text(max_size=40), st.dictionaries(st.from_regex(r"[A-Z]{1,3}", fullmatch=True), st.text(max_size=5)))
def test_a_text_without_references_is_left_alone(text: str, variables: dict[str, str]) -> None:
    if "${" not in text:
        assert Environment(variables).expand(text) == Expansion(text)
    assert Environment(variables).expand(text.replace("${", "$${")).text == text


def test_the_lines_of_dev_vars() -> None:
    values, problems = parse_dev_vars(
        "\ufeff# a comment\n"
        "\n"
        "PLAIN=value\r\n"
        "  SPACED = a value with spaces   # and a comment\n"
        "export EXPORTED=1\n"
        "HASH=a#b\n"
        "EMPTY=\n"
        "ONLY_COMMENT= # nothing\n"
        "EQUALS=a=b==\n"
        "SINGLE='a \"b\" \\n # c' # comment\n"
        'DOUBLE="a \\"b\\" \\n\\t\\\\ \\d # c"\n'
        "TWICE=1\n"
        "TWICE=2"
    )
    assert problems == []
    assert values == {
        "PLAIN": "value",
        "SPACED": "a value with spaces",
        "EXPORTED": "1",
        "HASH": "a#b",
        "EMPTY": "",
        "ONLY_COMMENT": "",
        "EQUALS": "a=b==",
        "SINGLE": 'a "b" \\n # c',
        "DOUBLE": 'a "b" \n\t\\ \\d # c',
        "TWICE": "2",
    }


def test_bad_lines_are_told_all_and_never_show_a_value() -> None:
    values, problems = parse_dev_vars('GOOD=1\nno equals secret1\n1BAD=secret2\nOPEN=\'secret3\nBEHIND="secret4" secret5\n')
    assert values == {"GOOD": "1"}
    assert [(problem.line, problem.key) for problem in problems] == [(2, ""), (3, ""), (4, "OPEN"), (5, "BEHIND")]
    assert "secret" not in "".join(map(str, problems))


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True),
        st.text(st.characters(exclude_characters="\n\r\t"), max_size=20),
    )
)
def test_every_value_can_be_written_in_double_quotes(variables: dict[str, str]) -> None:
    text = "\n".join(
        [f"{name}=" + '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for name, value in variables.items()]
    )
    assert parse_dev_vars(text) == (variables, [])


def test_the_file_is_read_from_beside_wws_toml(tmp_path: Path) -> None:
    (tmp_path / DEV_VARS).write_text("A=file\nB=file\nbroken\n")
    problems: list[Problem] = []
    environment = read_environment(tmp_path, {"A": "process"}, problems)
    assert (environment.get("A"), environment.get("B")) == ("process", "file")
    assert [str(problem) for problem in problems] == [f"{tmp_path / DEV_VARS}:3: not a NAME=value line"]


def test_no_file_is_no_problem(tmp_path: Path) -> None:
    problems: list[Problem] = []
    assert read_environment(tmp_path, {"A": "a"}, problems).get("A") == "a"
    assert problems == []


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    problems: list[Problem] = []
    (tmp_path / DEV_VARS).write_bytes(b"A=\xff\n")
    read_environment(tmp_path, {}, problems)
    (tmp_path / "folder" / DEV_VARS).mkdir(parents=True)
    read_environment(tmp_path / "folder", {}, problems)
    assert [problem.message for problem in problems] == ["cannot be read: it is not UTF-8", "cannot be read: Is a directory"]
