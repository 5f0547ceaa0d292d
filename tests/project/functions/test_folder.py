"""Reading a functions folder: who serves what, by which policy, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.functions.write import HELLO, folder, write
from wws.core.policy import Limit
from wws.project.functions.folder import scan
from wws.project.load import examine

SERVER = '[kv]\nstore = "memory:"\n'


def test_a_folder_that_is_not_there_has_no_functions(tmp_path: Path) -> None:
    assert scan(tmp_path / "functions").functions == {}


def test_what_is_a_function(tmp_path: Path) -> None:
    found = folder(
        tmp_path,
        {
            "hello.py": HELLO,
            "_lib.py": "x = 1",
            "_jobs/clean.py": "async def scheduled(event, env, ctx): ...",
            "clean.py": "async def scheduled(event, env, ctx): ...",
            "broken.py": "def",
            "note.txt": "no Python",
            ".hidden/x.py": HELLO,
            "__pycache__/x.py": HELLO,
            "api/__init__.py": "",
        },
    )
    served = {name: one.place and one.place.pattern for name, one in found.functions.items()}
    assert served == {"hello": "/hello", "_jobs/clean": None, "clean": None, "broken": "/broken"}
    assert [str(problem) for problem in found.broken] == [f"{tmp_path}/broken.py:1: syntax error: invalid syntax"]
    assert found.problems == ()


def test_the_policy_beside_the_code(tmp_path: Path) -> None:
    found = folder(
        tmp_path,
        {
            "a.py": HELLO
            + 'config = {"auth": "required", "limit": "5/min", "timeout": "2s", "cache": {"fresh": "1m", "per": "public"}}'
        },
    )
    assert found.functions["a"].settings == {
        "auth": "required",
        "limit": Limit(5, 60.0),
        "timeout": 2.0,
        "cache": {"fresh": 60.0, "per": "public"},
    }


def test_every_mistake_in_a_policy_has_its_line_and_breaks_only_its_function(tmp_path: Path) -> None:
    bad = HELLO + 'config = {\n"auth": "yes",\n"limt": "5/min",\n"cache": {"fresh": 5}, "path": "/x"}\n'
    found = folder(tmp_path, {"bad.py": bad, "good.py": HELLO, "none.py": HELLO + 'config = {"auth": "none", "scopes": ["a"]}'})
    said = [str(problem).removeprefix(f"{tmp_path}/") for problem in found.broken]
    assert said[0].startswith('bad.py:7: config.auth: found "yes"')
    assert said[1].startswith('bad.py:8: config.limt: unknown key; did you mean "limit"?')
    assert said[2].startswith("bad.py:9: config.cache.fresh: found 5")
    assert said[3].startswith("bad.py:9: config.path: unknown key")
    assert said[4].startswith("none.py:6: config.scopes: nobody is asked")
    assert [name for name, one in found.functions.items() if one.problems] == ["bad", "none"]


def test_a_broken_middleware_breaks_what_it_runs_around(tmp_path: Path) -> None:
    found = folder(tmp_path, {"_middleware.py": HELLO, "api/_middleware.py": "x = 1", "api/a.py": HELLO, "b.py": HELLO})
    assert found.functions["b"].problems == ()
    [problem] = found.functions["api/a"].problems
    assert str(problem) == f"{tmp_path}/api/_middleware.py: a middleware has `async def fetch(request, env, ctx)`"
    assert found.functions["api/a"].middlewares == ("_middleware", "api/_middleware")


@pytest.mark.parametrize(
    ("one", "other"), [("a.py", "a/index.py"), ("[id].py", "[name].py"), ("x/[a]/y.py", "x/[b]/y.py"), ("[...a].py", "[...b].py")]
)
def test_two_files_for_one_path_are_an_error_that_names_both(tmp_path: Path, one: str, other: str) -> None:
    found = folder(tmp_path, {one: HELLO, other: HELLO})
    [problem] = found.problems
    assert one in str(problem) and other in str(problem)


def test_a_file_that_nobody_imports_and_that_serves_nothing_is_a_warning(tmp_path: Path) -> None:
    found = folder(tmp_path, {"a.py": "import lib.used\n" + HELLO, "lib/used.py": "x = 1", "lib/unused.py": "x = 1"})
    assert [problem.file for problem in found.warnings] == [f"{tmp_path}/lib/unused.py"]


@pytest.mark.parametrize(
    ("files", "plain"),
    [
        ({"a.py": HELLO}, True),
        ({"a.py": "import json, asyncio\n" + HELLO}, False),
        ({"a.py": "from lib.x import y\n" + HELLO, "lib/x.py": "import re"}, True),
        ({"a.py": "from lib.x import y\n" + HELLO, "lib/x.py": "import httpx"}, False),
        ({"a.py": "from .lib import x\n" + HELLO, "lib/x.py": "import anyio"}, False),
        ({"a.py": "from . import b\n" + HELLO, "b.py": "from . import a\nasync def fetch(r, e, c): ..."}, True),
        ({"_middleware.py": "import asyncio\n" + HELLO, "a.py": HELLO}, False),
    ],
)
def test_who_may_run_without_a_task(tmp_path: Path, files: dict[str, str], plain: bool) -> None:
    assert folder(tmp_path, files).functions["a"].plain is plain


def test_functions_are_routes_of_the_project(tmp_path: Path) -> None:
    write(
        tmp_path / "functions",
        {"api/a.py": HELLO + 'config = {"auth": "required"}', "api/[...rest].py": HELLO, "b/index.py": HELLO},
    )
    found = examine(tmp_path / "wws.toml", SERVER, environ={})
    assert found.project is not None, found.problems
    routes = {route.path: (route.target, route.auth, route.aliases) for route in found.project.policy.routes}
    assert routes == {
        "/api/a": ("api/a", "required", ()),
        "/api/*": ("api/[...rest]", "optional", ()),
        "/b": ("b/index", "optional", ("/b/",)),
    }


def test_routes_of_the_file_override_and_take_over_what_they_do_not_say(tmp_path: Path) -> None:
    write(tmp_path / "functions", {"a.py": HELLO + 'config = {"auth": "required", "methods": ["GET", "POST"]}', "b.py": HELLO})
    text = SERVER + (
        '[origin]\nurl = "http://127.0.0.1:9"\n[[routes]]\npath = "/a"\nmethods = ["POST"]\nto = "origin"\n'
        '[[routes]]\npath = "/b"\nto = "origin"\n[[routes]]\npath = "/c"\nto = "function:a"\nlimit = "off"\n'
    )
    found = examine(tmp_path / "wws.toml", text, environ={})
    assert found.project is not None, found.problems
    routes = [(route.path, route.to, route.methods, route.auth) for route in found.project.policy.routes]
    assert routes == [
        ("/a", "origin", ("POST",), "optional"),
        ("/b", "origin", None, "optional"),
        ("/c", "function", ("GET", "POST"), "required"),
        ("/a", "function", ("GET",), "required"),
    ]


def test_a_broken_function_stops_no_start_and_a_clash_does(tmp_path: Path) -> None:
    write(tmp_path / "functions", {"bad.py": "def"})
    found = examine(tmp_path / "wws.toml", SERVER, environ={})
    assert found.project is not None
    assert [problem.line for problem in found.project.functions.broken] == [1]
    write(tmp_path / "functions", {"bad/index.py": HELLO})
    assert examine(tmp_path / "wws.toml", SERVER, environ={}).project is None


def test_the_version_changes_with_the_code(tmp_path: Path) -> None:
    write(tmp_path / "functions", {"a.py": HELLO})
    one = examine(tmp_path / "wws.toml", SERVER, environ={}).project
    write(tmp_path / "functions", {"a.py": HELLO + "\n# a comment"})
    other = examine(tmp_path / "wws.toml", SERVER, environ={}).project
    assert one is not None and other is not None and one.policy.version != other.policy.version
