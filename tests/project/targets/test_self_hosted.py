from __future__ import annotations

import os
from pathlib import Path

import pytest

from wws.errors import ConfigError
from wws.project.bundle import open_bundle
from wws.project.load import load
from wws.project.targets import DEFAULT, Built, builder, targets

TOML = """\
name = "shop"
[origin]
url = "http://127.0.0.1:3000"
[providers.zai]
api_key = "${ZAI_API_KEY}"
[models]
code = "zai/glm-4.7"
"""


def project(folder: Path) -> Path:
    (folder / "functions").mkdir(parents=True)
    (folder / "functions" / "hello.py").write_text("async def fetch(request, env, ctx):\n    return None\n")
    (folder / ".dev.vars").write_text("ZAI_API_KEY=planted-secret-of-dev-vars\n")
    (folder / "wws.toml").write_text(TOML)
    return folder / "wws.toml"


def built(config: Path, out: Path | None = None, **environ: str) -> Built:
    return builder(DEFAULT)(load(config, environ=environ, allow_missing=True), out)


def test_the_default_target_is_first() -> None:
    assert targets()[0] == DEFAULT == "self-hosted"


def test_the_same_project_gives_the_same_bytes_anywhere(tmp_path: Path) -> None:
    one = built(project(tmp_path / "one"))
    other_config = project(tmp_path / "deep" / "other")
    os.utime(other_config, (1, 1))
    os.chmod(other_config, 0o600)
    two = built(other_config, ZAI_API_KEY="another-secret")
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.version == two.version == open_bundle(two.path.read_bytes()).version
    assert one.path == tmp_path / "one" / ".wws" / "bundles" / f"shop-{one.version}.wws"


def test_nothing_secret_and_nothing_of_the_machine_is_inside(tmp_path: Path) -> None:
    data = built(project(tmp_path), ZAI_API_KEY="planted-secret-of-the-environment").path.read_bytes()
    for secret in (b"planted", b".dev.vars", str(tmp_path).encode()):
        assert secret not in data
    assert b"${ZAI_API_KEY}" in data


def test_a_secret_in_the_clear_is_not_built(tmp_path: Path) -> None:
    config = project(tmp_path)
    config.write_text(TOML.replace("${ZAI_API_KEY}", "planted-in-the-file"))
    with pytest.raises(ConfigError) as refused:
        built(config)
    assert "wws.toml:5: providers.zai.api_key" in str(refused.value)
    assert "planted" not in str(refused.value)
    assert not (tmp_path / ".wws").exists()


def test_where_it_is_written(tmp_path: Path) -> None:
    config = project(tmp_path)
    assert built(config, tmp_path / "out.wws").path.exists()
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        built(config, tmp_path / "taken" / "out.wws")
