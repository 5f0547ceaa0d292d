"""Where there is no uvloop the gateway runs on asyncio's own event loop, and does the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.e2e.ask import ask, hello
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway
from tests.e2e.projects import SECRETS, project
from tests.support.provider import ECHO

HIDE = """\
import os, sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "uvloop":
            open(os.environ["HIDDEN"], "a").close()
            raise ModuleNotFoundError("No module named 'uvloop'", name="uvloop")

sys.meta_path.insert(0, Hide())
"""


@pytest.fixture
def plain(tmp_path: Path, around: Neighbours) -> Iterator[Gateway]:
    """A gateway that finds no uvloop."""
    site, mark = tmp_path / "site", tmp_path / "looked-for-uvloop"
    site.mkdir()
    (site / "sitecustomize.py").write_text(HIDE)
    env = {**SECRETS, "PYTHONPATH": str(site), "HIDDEN": str(mark)}
    with Gateway(tmp_path / "project", project(around), env=env) as gateway:
        assert mark.exists()
        yield gateway


def test_the_same_on_asyncio(plain: Gateway, around: Neighbours, token: str) -> None:
    answer = ask(plain.url, "/api/ai/chat", token=token, body=hello(task="code"))
    assert (answer.status, answer.headers["x-wws-model"]) == (200, "coder")
    assert ask(plain.url, "/api/ai/chat", token=token, body=hello(model="failing")).headers["x-wws-attempts"] == "3"
    assert ask(plain.url, "/private/page", token=token).json["number"] == 1
    assert ask(plain.url, "/api/ai/chat", token=token, body=b"{").status == 400
    large = b"x" * 1_000_000
    assert ask(plain.url, "/private/upload", token=token, body=large).status == 200
    assert around.origin.requests[-1].body == large
    with (
        OpenAI(base_url=f"{plain.url}/v1", api_key=token) as client,
        client.chat.completions.create(model="code", messages=[{"role": "user", "content": "Hello"}], stream=True) as stream,
    ):
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text.strip() == ECHO + "Hello"
    assert [ask(plain.url, "/five/x", token=token).status for _ in range(6)] == [200] * 5 + [429]
