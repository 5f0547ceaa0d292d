from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cli.run import wws
from wws.bindings import Endpoint
from wws.cli.store import opened
from wws.core.policy import Timeouts
from wws.errors import ConfigError, ConnectFailed
from wws.project.pepper import VARIABLE


@pytest.fixture
def project(folder: Path) -> Path:
    wws("init")
    return folder


def test_what_one_command_writes_the_next_one_reads(project: Path) -> None:
    with opened(None) as env:
        asyncio.run(env.wws.kv.put("v1:x", b"value"))
        pepper = env.wws.secrets.pepper
    with opened(Path("wws.toml")) as env:
        assert asyncio.run(env.wws.kv.get("v1:x")) == b"value"
        assert env.wws.secrets.pepper == pepper
    assert (project / ".wws" / "state" / "pepper").read_bytes() == pepper


def test_the_store_is_beside_the_file_and_not_where_the_command_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")
    with opened(Path("../wws.toml")) as env:
        asyncio.run(env.wws.kv.put("v1:x", b"value"))
    assert (project / ".wws" / "state").is_dir()
    assert list((project / "elsewhere").iterdir()) == []


def test_the_pepper_of_the_environment_is_used(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "a pepper of enough bytes")
    with opened(None) as env:
        assert env.wws.secrets.pepper == b"a pepper of enough bytes"


def test_it_is_closed_when_the_command_fails(project: Path) -> None:
    with pytest.raises(RuntimeError, match="failed"), opened(None):
        raise RuntimeError("failed")
    with opened(None) as env:
        assert asyncio.run(env.wws.kv.get("v1:x")) is None


def test_nobody_is_called(project: Path) -> None:
    async def call() -> None:
        await env.wws.dial.send(Endpoint("http://127.0.0.1:1"), "GET", "/", [], b"", Timeouts())

    with opened(None) as env:
        with pytest.raises(ConnectFailed, match="calls nobody"):
            asyncio.run(call())
        assert asyncio.run(env.wws.crypto.verify("ES256", {}, b"", b"")) is False


def test_a_bad_file_opens_nothing(folder: Path) -> None:
    (folder / "wws.toml").write_text("x = 1")
    with pytest.raises(ConfigError), opened(None):
        raise AssertionError("opened")
    assert [path.name for path in folder.iterdir()] == ["wws.toml"]
