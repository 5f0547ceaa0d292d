"""Which file answers which path."""

from __future__ import annotations

from pathlib import Path

from tests.project.functions.write import HELLO, write
from wws.project.load import examine
from wws.project.public import scan

SERVER = '[kv]\nstore = "memory:"\n'


def test_what_is_served(tmp_path: Path) -> None:
    root = write(
        tmp_path / "public",
        {
            "index.html": "home", "404.html": "none", "about.html": "about", "docs/index.html": "docs", "app.js": "js",
            "app.js.br": "x",
            "app.js.gz": "xx", ".env": "secret", ".git/config": "secret", ".well-known/security.txt": "hi", "a b.txt": "x",
        },
    )  # fmt: skip
    (root / "passwd").symlink_to("/etc/passwd")
    (root / "inside.js").symlink_to(root / "app.js")
    found = scan(root)
    assert set(found.assets) == {
        "/", "/index.html", "/404.html", "/about", "/about.html", "/docs", "/docs/", "/docs/index.html", "/app.js", "/app.js.br",
        "/app.js.gz", "/.well-known/security.txt", "/a b.txt", "/inside.js",
    }  # fmt: skip
    assert found.assets["/docs"].redirect == "/docs/"
    assert {coding: size for coding, (_, size) in found.assets["/app.js"].variants.items()} == {"br": 1, "gzip": 2}
    assert found.assets["/app.js"].type == b"text/javascript; charset=utf-8"
    assert found.missing is found.assets["/404.html"]
    [problem] = found.problems
    assert problem.file.endswith("passwd") and "leads out of the folder" in problem.message
    assert scan(tmp_path / "none").assets == {}


def test_files_go_before_the_origin_and_after_everything_else(tmp_path: Path) -> None:
    write(tmp_path / "public", {"index.html": "home"})
    write(tmp_path / "functions", {"api/a.py": HELLO})
    found = examine(tmp_path / "wws.toml", SERVER + '[origin]\nurl = "http://127.0.0.1:9"\n', environ={}).project
    assert found is not None
    files, function = found.policy.routes
    assert (files.path, files.to, files.auth, files.unlimited, files.fallback) == ("/*", "static", "none", True, "origin")
    assert function.path == "/api/a"
    alone = examine(tmp_path / "wws.toml", SERVER, environ={}).project
    assert alone is not None and alone.policy.routes[0].fallback is None


def test_a_route_of_the_file_says_who_may_see_them(tmp_path: Path) -> None:
    write(tmp_path / "public", {"inner/x.txt": "x"})
    text = SERVER + '[[routes]]\npath = "/inner/*"\nto = "static"\nauth = "required"\n'
    found = examine(tmp_path / "wws.toml", text, environ={}).project
    assert found is not None
    [route] = found.policy.routes
    assert (route.to, route.auth, route.scopes, route.fallback) == ("static", "required", ("origin",), None)
