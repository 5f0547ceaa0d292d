from __future__ import annotations

from pathlib import Path

import pytest

from wws.errors import ConfigError
from wws.project.files import acceptable, project_files


def put(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder / "wws.toml"


def test_what_belongs_to_a_project(tmp_path: Path) -> None:
    config = put(
        tmp_path,
        "wws.toml", "functions/hello.py", "functions/api/[id].py", "functions/_middleware.py", "public/index.html",
        "public/a b.css",
        ".dev.vars", "functions/.env", "public/.git/config", "functions/__pycache__/hello.cpython-311.pyc", "functions/old.pyc",
        "node_modules/x.js", "public/node_modules/x.js", "README.md", ".wws/state/pepper",
    )  # fmt: skip
    assert list(project_files(config)) == [
        "functions/_middleware.py", "functions/api/[id].py", "functions/hello.py", "public/a b.css", "public/index.html",
        "wws.toml",
    ]  # fmt: skip


def test_the_file_may_have_another_name(tmp_path: Path) -> None:
    put(tmp_path, "other.toml")
    assert project_files(tmp_path / "other.toml") == {"wws.toml": tmp_path / "other.toml"}


def test_links_are_refused_all_at_once(tmp_path: Path) -> None:
    config = put(tmp_path, "wws.toml", "functions/hello.py")
    (tmp_path / "functions" / "secret.txt").symlink_to("/etc/hostname")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "home").symlink_to("/")
    with pytest.raises(ConfigError) as refused:
        project_files(config)
    assert [Path(problem.file).name for problem in refused.value.problems] == ["secret.txt", "home"]
    assert "a link" in str(refused.value)


def test_names_that_not_every_system_has(tmp_path: Path) -> None:
    config = put(tmp_path, "wws.toml", "public/a:b", "public/ok.txt")
    with pytest.raises(ConfigError, match="a:b"):
        project_files(config)


@pytest.mark.parametrize(
    "name",
    [
        "", "/etc/passwd", "../x", "functions/../x", "functions//x", "functions/./x", "functions", "public/", "functions/.env",
        "functions/a\\..\\x", "C:/x", "functions/a\x00", "functions/a\nb", "other/x", "wws.toml/x", "WWS.toml", "functions/ x",
        "functions/__pycache__/x", "public/" + "x" * 1100, ".dev.vars", "manifest.json",
    ],
)  # fmt: skip
def test_names_a_bundle_must_not_have(name: str) -> None:
    assert not acceptable(name)


@pytest.mark.parametrize(
    "name", ["wws.toml", "functions/x.py", "public/a/b/c.min.js", "functions/[...rest].py", "public/größe.txt"]
)
def test_names_it_may_have(name: str) -> None:
    assert acceptable(name)
