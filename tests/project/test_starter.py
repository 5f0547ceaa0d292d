from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.project.files import ENVIRON, examined, project
from wws.project.environment import parse_dev_vars
from wws.project.schema import KEYS
from wws.project.starter import DEV_VARS_EXAMPLE, HELLO, IGNORED, project_name, wws_toml

TEXT = wws_toml("demo")


def test_it_loads_with_keys_and_in_dev_without() -> None:
    assert project(TEXT).policy.name == "demo"
    found = examined(TEXT, dev=True, environ={})
    assert found.problems == []
    assert [warning.key for warning in found.warnings] == [
        "auth.supabase_url",
        "providers.synthetic.api_key",
        "providers.zai.api_key",
    ]


def test_it_says_the_defaults() -> None:
    minimal = '[origin]\nurl = "http://127.0.0.1:3000"\n[providers.synthetic]\napi_key = "${SYNTHETIC_API_KEY}"\n'
    other = project(minimal + '[providers.zai]\napi_key = "${ZAI_API_KEY}"\n')
    found = project(TEXT)
    assert replace(found.policy, name="wws", version="") == replace(other.policy, version="")
    assert (found.server, found.store_url) == (other.server, other.store_url)


def test_its_comments_are_the_schemas() -> None:
    about = {key.path: key.about for key in KEYS}
    for path in ("server.listen", "kv.store", "auth.supabase_key", "timeouts.first_token", "routes[].cache", "limits.address"):
        assert TEXT.count(f"# {about[path]}\n") >= 1, path


def test_what_is_commented_out_can_be_written_too(tmp_path: Path) -> None:
    """Every `# key = value` and `# [table]` line, uncommented."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "hello.py").write_text(HELLO)
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / name).touch()
    text = re.sub(r"^# (?=\[|[a-z_]+ = )", "", TEXT, flags=re.MULTILINE)
    assert tomllib.loads(text) != tomllib.loads(TEXT)
    found = project(text, path=tmp_path / "wws.toml")
    assert found.kv_namespaces == ("VISITS",)
    assert found.policy.providers["local"].kind == "openai"
    assert [route.path for route in found.policy.routes if route.target == "hello"] == ["/api/hello", "/hello"]


def test_lines_are_short_enough_to_read() -> None:
    assert max(map(len, TEXT.splitlines())) <= 130


def test_the_example_of_variables_names_all_that_the_file_uses() -> None:
    values, problems = parse_dev_vars(DEV_VARS_EXAMPLE)
    assert problems == []
    assert set(values) == set(re.findall(r"\$\{([A-Z_]+)\}", TEXT)) <= set(ENVIRON)


def test_the_function_is_python_with_a_fetch() -> None:
    names = [node.name for node in ast.parse(HELLO).body if isinstance(node, ast.AsyncFunctionDef)]
    assert names == ["fetch"]


def test_secrets_are_not_committed() -> None:
    assert IGNORED == (".dev.vars", ".wws/")


@pytest.mark.parametrize(
    ("folder", "name"),
    [("demo", "demo"), ("My Project!", "My-Project"), ("", "wws"), ("...", "wws"), ("\u00e9", "wws"), ("x" * 99, "x" * 63)],
)
def test_a_folders_name_becomes_one_that_loads(folder: str, name: str) -> None:
    assert project_name(folder) == name
    assert project(wws_toml(name)).policy.name == name
