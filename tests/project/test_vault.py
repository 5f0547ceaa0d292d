from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.errors import ConfigError
from wws.project.load import load
from wws.project.secret import Secret
from wws.project.vault import FILE, KEY_FILE, LARGEST, VARIABLE, Vault, read_secrets

KEY = {VARIABLE: "a key of the environment, long enough"}


def test_there_and_back(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    assert not vault.exists() and vault.names() == [] and vault.reveal() == {}
    assert vault.put("B", "planted-two", 2.0) is False
    assert vault.put("A", "planted-one", 1.0) is False
    assert vault.put("B", "planted-three", 3.0) is True
    assert vault.names() == [("A", 1.0), ("B", 3.0)]
    assert read_secrets(tmp_path, {}) == {"A": "planted-one", "B": "planted-three"}
    assert vault.delete("A") is True
    assert vault.delete("A") is False
    assert read_secrets(tmp_path, {}) == {"B": "planted-three"}


def test_at_rest_it_is_neither_readable_nor_open_to_others(tmp_path: Path) -> None:
    Vault(tmp_path, {}).put("A", "planted", 1.0)
    assert b"planted" not in (tmp_path / FILE).read_bytes()
    for file in (FILE, KEY_FILE):
        assert (tmp_path / file).stat().st_mode & 0o777 == 0o600


def test_the_same_value_twice_looks_different(tmp_path: Path) -> None:
    vault = Vault(tmp_path, KEY)
    vault.put("A", "same", 1.0)
    vault.put("B", "same", 1.0)
    sealed = json.loads((tmp_path / FILE).read_text())["secrets"]
    assert sealed["A"]["data"] != sealed["B"]["data"]
    assert not (tmp_path / KEY_FILE).exists()


def test_a_value_under_another_name_is_not_taken(tmp_path: Path) -> None:
    vault = Vault(tmp_path, KEY)
    vault.put("A", "planted", 1.0)
    told = json.loads((tmp_path / FILE).read_text())
    told["secrets"] = {"ADMIN": told["secrets"]["A"]}
    (tmp_path / FILE).write_text(json.dumps(told))
    with pytest.raises(ConfigError, match="ADMIN cannot be decrypted"):
        vault.reveal()


def test_another_key_reads_nothing_and_spoils_nothing(tmp_path: Path) -> None:
    Vault(tmp_path, KEY).put("A", "planted", 1.0)
    other = Vault(tmp_path, {VARIABLE: "another key, as long as it must be"})
    with pytest.raises(ConfigError, match=f"{VARIABLE} is another key"):
        other.reveal()
    with pytest.raises(ConfigError, match="another key"):
        other.put("B", "x", 1.0)
    assert read_secrets(tmp_path, KEY) == {"A": "planted"}
    assert [one.name for one in other.names()] == ["A"]


def test_a_lost_key_file(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    vault.put("A", "planted", 1.0)
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(ConfigError, match="is missing: restore it"):
        vault.reveal()
    with pytest.raises(ConfigError, match="is missing"):
        vault.put("B", "x", 1.0)
    assert not (tmp_path / KEY_FILE).exists()


def test_a_key_file_that_others_may_read(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    vault.put("A", "planted", 1.0)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        vault.reveal()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2, "secrets": {}}', '{"format": 1, "secrets": {"A": {}}}'])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigError, match="restore it"):
        Vault(tmp_path, KEY).names()


@pytest.mark.parametrize(
    ("name", "value"), [("", "x"), ("1A", "x"), ("A-B", "x"), ("A", ""), ("A", "x" * (LARGEST + 1)), ("A", "a\0b")]
)
def test_what_is_no_secret(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ValueError, match="allowed|bytes"):
        Vault(tmp_path, KEY).put(name, value, 1.0)
    assert not (tmp_path / FILE).exists()


def test_a_short_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shorter than 16"):
        Vault(tmp_path, {VARIABLE: "short"}).put("A", "x", 1.0)


@given(value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_any_text(value: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    vault = Vault(tmp_path_factory.mktemp("vault"), KEY)
    vault.put("A", value, 1.0)
    assert vault.reveal() == {"A": value}


TOML = """\
[origin]
url = "http://127.0.0.1:${PORT}"
[providers.zai]
api_key = "${ZAI_API_KEY}"
[models]
code = "zai/glm-4.7"
[[kv_namespaces]]
binding = "VISITS"
"""


def test_a_project_takes_them_and_functions_see_them(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_text(TOML)
    (tmp_path / ".dev.vars").write_text("PORT=1\nZAI_API_KEY=of-dev-vars\n")
    vault = Vault(tmp_path, KEY)
    for name, value in (("ZAI_API_KEY", "planted"), ("PORT", "2"), ("VISITS", "no"), ("ai", "no"), ("_X", "no")):
        vault.put(name, value, 1.0)
    project = load(tmp_path / "wws.toml", environ={**KEY, "PORT": "3"})
    assert project.policy.origins["default"] == "http://127.0.0.1:3"  # the environment, then secrets, then .dev.vars
    assert project.policy.providers["zai"].api_key == "planted"
    assert project.vars == {"ZAI_API_KEY": Secret("planted"), "PORT": Secret("2")}
    assert "planted" not in repr(project.vars)


def test_secrets_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_text(TOML)
    Vault(tmp_path, KEY).put("ZAI_API_KEY", "planted", 1.0)
    with pytest.raises(ConfigError, match=r"secrets.key: is missing"):
        load(tmp_path / "wws.toml", environ={"PORT": "1"})
