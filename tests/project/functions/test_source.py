"""What is read from a file without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wws.project.functions.source import parse

FILE = Path("functions/x.py")


def test_handlers_are_found_however_they_are_defined() -> None:
    source = parse(
        b"from other import scheduled\nasync def fetch(r, e, c): ...\nasync def get(r, e, c): ...\npost = put = get\n"
        b"queue: object = get\ndef delete(r, e, c): ...\nasync def helper(): ...\n",
        FILE,
    )
    assert source.handlers == {"fetch", "get", "post", "put", "queue", "scheduled"}
    assert source.problems == ()


def test_a_policy_is_read_with_its_lines() -> None:
    source = parse(b'config = {\n  "auth": "none",\n  "cache": {\n    "fresh": "1s"},\n  "scopes": ("a", "b"),\n}\n', FILE)
    assert source.config == {"auth": "none", "cache": {"fresh": "1s"}, "scopes": ["a", "b"]}
    assert source.lines[("config", "cache", "fresh")] == 4
    assert source.problems == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"async def fetch(request)\n    return 1\n", "functions/x.py:1: syntax error: expected ':'"),
        (b"\0", "functions/x.py: "),
        (b"\n\ndef fetch(r, e, c): ...", "functions/x.py:3: fetch: write `async def fetch`: handlers are awaited"),
        (b"config = dict(auth='none')", "functions/x.py:1: config: write a literal"),
        (b"config = {\n'auth': AUTH}", "functions/x.py:2: config.auth: write a literal"),
        (b"config = {1: 2}", "functions/x.py:1: config: a key is written as a text"),
    ],
)
def test_mistakes_have_their_line(text: bytes, message: str) -> None:
    [problem] = parse(text, FILE).problems
    assert str(problem).startswith(message)


def test_a_text_that_no_parser_takes_is_a_problem_and_no_crash() -> None:
    [problem] = parse(b"x = " + b"(" * 5000 + b")" * 5000, FILE).problems
    assert problem.file == str(FILE)


def test_imports_wherever_they_stand() -> None:
    source = parse(b"import json, a.b\ndef f():\n    from . import x\n    from ..lib.y import z\n", FILE)
    assert source.imports == {"json", "a.b", ".x", "..lib.y"}
    assert source.plain
    assert not parse(b"__import__('asyncio')", FILE).plain
