"""Every example runs with `wws dev`, as its page says. What it does is tested beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.ask import ask
from tests.e2e.program import Gateway

EXAMPLES = Path(__file__).parents[2] / "examples"
FIRST = {
    "ab-redirect": ("/checkout", 302),
    "ai-chat": ("/", 200),
    "cleanup": ("/drops/nothing", 404),
    "hello-kv": ("/hello?name=ada", 200),
    "image-proxy": ("/images/", 502),
    "webhook": ("/events/evt_1", 401),
}


def test_every_example_is_here_and_on_the_page() -> None:
    there = {folder.name for folder in EXAMPLES.iterdir() if (folder / "wws.toml").is_file()}
    assert there == set(FIRST)
    page = (EXAMPLES / "README.md").read_text()
    for name in there:
        assert f"({name}/README.md)" in page
        assert list((EXAMPLES / name).glob("test_*.py")), name
        assert "wws dev" in (EXAMPLES / name / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(FIRST))
def test_it_runs(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("__pycache__", ".wws"))
    toml = (folder / "wws.toml").read_text() + '\n[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'
    if name == "image-proxy":  # no network is asked for: the source is a port where nobody listens
        toml = toml.replace("https://upload.wikimedia.org/wikipedia/commons", "http://127.0.0.1:9")
        toml = toml.replace("[fetch]", '[fetch]\nallow = ["127.0.0.1"]')
    path, status = FIRST[name]
    with Gateway(folder, toml, ("dev",), {"WEBHOOK_SECRET": "a-secret-for-tests-only"}) as gateway:
        answer = ask(gateway.url, path)
    assert answer.status == status, answer.body
    assert (folder / "functions").is_dir() and not list(folder.rglob("__pycache__"))
