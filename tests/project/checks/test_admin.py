from __future__ import annotations

from pathlib import Path

import pytest

from wws.project.load import Examined, examine

LONG = "a-long-enough-token"


def examined(text: str, strict: bool = True, **environ: str) -> Examined:
    routes = '[origin]\nurl = "http://127.0.0.1:1"\n[[routes]]\npath = "/*"\nto = "origin"\n'
    return examine(Path("nowhere/wws.toml"), text + routes, environ=environ, allow_missing=not strict)


def test_tokens_by_name() -> None:
    found = examined(
        '[admin]\ntoken = "${T}"\nkeep = 3\nbundle_limit = "1MiB"\n[admin.tokens]\nci = "${C}"\n', T=LONG, C=LONG + "2"
    )
    assert found.project is not None
    admin = found.project.admin
    assert {name: token.reveal() for name, token in admin.tokens.items()} == {"admin": LONG, "ci": LONG + "2"}
    assert (admin.keep, admin.bundle_limit) == (3, 1024 * 1024)
    assert LONG not in repr(found.project)


def test_none_is_no_mistake() -> None:
    found = examined("")
    assert found.project is not None and found.project.admin.tokens == {}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[admin]\ntoken = "short"\n', 2, "shorter than 16 characters"),
        ('[admin]\ntoken = "${UNSET}"\n', 2, "UNSET is not set"),
        ('[admin.tokens]\nci = "${UNSET}"\n', 2, "UNSET is not set"),
        (f'[admin.tokens]\nadmin = "{LONG}"\n', 2, "allowed: another name"),
        (f'[admin]\ntoken = "{LONG}"\n[admin.tokens]\nci = "{LONG}"\n', 4, "the same token as that of admin"),
        ("[admin]\nkeep = 1\n", 2, "a whole number from 2 to 100"),
    ],
)
def test_mistakes(text: str, line: int, words: str) -> None:
    [problem] = examined(text).problems
    assert problem.line == line
    assert words in problem.message
    assert LONG not in str(problem)


def test_dev_does_without() -> None:
    found = examined('[admin]\ntoken = "${UNSET}"\n', strict=False)
    assert found.project is not None and found.project.admin.tokens == {}
    assert any("nothing can be changed" in warning.message for warning in found.warnings)


def test_tokens_without_a_listener() -> None:
    found = examined(f'[server]\nadmin = "off"\n[admin]\ntoken = "{LONG}"\n')
    assert any(warning.key == "admin" for warning in found.warnings)
