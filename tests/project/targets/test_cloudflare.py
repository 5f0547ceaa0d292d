"""The folder for Cloudflare: what stands in it, what never does, and what is refused before anything is deployed."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from wws.errors import ConfigError
from wws.hosts.edge.bundle import read
from wws.project.targets import cloudflare
from wws.project.targets.cloudflare import build, build_here, load

TOML = """\
name = "My_Shop"
[auth]
supabase_url = "https://shop.supabase.co"
supabase_key = "${SUPABASE_KEY}"
[origin]
url = "https://shop.example"
[providers.zai]
api_key = "${ZAI_API_KEY}"
[models]
code = "zai/glm-4.7"
[[rules]]
use = "code"
[[kv_namespaces]]
binding = "VISITS"
[vars]
REGION = "eu"
TOKEN = "${SHOP_TOKEN}"
"""
PLANTED = {name: f"planted-secret-{name.lower()}" for name in ("SUPABASE_KEY", "ZAI_API_KEY", "SHOP_TOKEN")}


@pytest.fixture(autouse=True)
def _sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for Cloudflare's SDK, which is fetched from PyPI; the edge tests take the real one."""
    monkeypatch.setattr(cloudflare, "sdk_files", lambda environ: {"workers/__init__.py": b"VALUE = 1\n"})
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)


def config(folder: Path, toml: str = TOML) -> Path:
    path = folder / "wws.toml"
    path.write_text(toml)
    return path


def built(folder: Path, toml: str = TOML) -> Path:
    return build(load(config(folder, toml), PLANTED), None).path


def wrangler(folder: Path) -> Any:
    comment, _, text = (folder / "wrangler.jsonc").read_text().partition("\n")
    assert comment.startswith("//")
    return json.loads(text)


def refused(folder: Path, toml: str) -> dict[str, str]:
    """Message by key."""
    with pytest.raises(ConfigError) as raised:
        built(folder, toml)
    assert not (folder / ".wws").exists()
    return {problem.key: problem.message for problem in raised.value.problems}


def test_what_wrangler_is_told(tmp_path: Path) -> None:
    told = wrangler(built(tmp_path))
    assert told["name"] == "my-shop"
    assert told["main"] == "src/entry.py"
    assert told["kv_namespaces"] == [{"binding": "WWS_KV"}, {"binding": "VISITS"}]
    assert told["durable_objects"]["bindings"] == [{"name": "WWS_COUNTERS", "class_name": "Counters"}]
    assert told["migrations"] == [{"tag": "wws-1", "new_sqlite_classes": ["Counters"]}]


def test_crons_are_written_as_the_platform_reads_them(tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "cleanup.py").write_text("async def scheduled(event, env, ctx):\n    return None\n")
    crons = '[triggers]\ncrons = ["0 3 * * 1-5", { cron = "0 3 * * mon-fri", function = "cleanup" }, "*/5 * * * *"]\n'
    told = wrangler(built(tmp_path, TOML + crons))
    assert told["triggers"] == {"crons": ["0 3 * * MON,TUE,WED,THU,FRI", "*/5 * * * *"]}


def test_approximate_limits_are_counted_by_the_platform(tmp_path: Path) -> None:
    rough = 'default = "100/min approximate"\n"/a/*" = "5/10s approximate"\n"/b/*" = "100/min approximate"\n'
    limits = f'[limits]\n{rough}"/c" = "7/min"\n'
    told = wrangler(built(tmp_path, TOML + limits))["ratelimits"]
    assert [(one["name"], one["simple"]) for one in told] == [
        ("WWS_RATE_5_10", {"limit": 5, "period": 10}),
        ("WWS_RATE_100_60", {"limit": 100, "period": 60}),
    ]
    numbers = [one["namespace_id"] for one in told]
    assert len({int(number) for number in numbers}) == 2
    assert numbers == [one["namespace_id"] for one in wrangler(built(tmp_path, TOML + limits))["ratelimits"]]
    assert "ratelimits" not in wrangler(built(tmp_path))


def test_what_the_platform_cannot_count_approximately(tmp_path: Path) -> None:
    limits = '[limits]\ndefault = "100/hour approximate"\naddress = "600/min approximate"\n"/a" = "5/30s approximate"\n'
    route = '[[routes]]\npath = "/b"\nto = "origin"\nlimit = "9/day approximate"\n'
    found = refused(tmp_path, TOML + limits + route)
    assert "a period of 3600 s cannot be counted approximately; allowed here: 10s, min" in found["limits.default"]
    assert "a period of 30 s" in found['limits."/a"']
    assert "a period of 86400 s" in found["routes[0].limit"]
    assert "failed logins" in found["limits.address"]


def test_no_flag_of_development_is_shipped(tmp_path: Path) -> None:
    assert wrangler(built(tmp_path))["compatibility_flags"] == ["python_workers"]


def test_no_secret_is_shipped_and_each_is_asked_for(tmp_path: Path) -> None:
    done = build(load(config(tmp_path), PLANTED), None)
    everything = b"".join(path.read_bytes() for path in done.path.rglob("*") if path.is_file())
    assert b"planted" not in everything
    for name in (*PLANTED, "WWS_PEPPER"):
        assert any(f"wrangler secret put {name} " in note for note in done.notes)


def test_what_is_shipped_is_the_checked_policy(tmp_path: Path) -> None:
    tree = ast.parse((built(tmp_path) / "src" / "wws_bundle.py").read_text())
    data = next(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    bundle, _ = read(json.loads(data), {**PLANTED, "WWS_PEPPER": "p" * 32}.get)
    assert bundle.policy.origins == {"default": "https://shop.example"}
    assert bundle.policy.providers["zai"].api_key == PLANTED["ZAI_API_KEY"]
    assert bundle.vars == {"REGION": "eu", "TOKEN": PLANTED["SHOP_TOKEN"]}


def test_a_build_replaces_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    folder = built(tmp_path)
    (folder / "src" / "left.py").write_text("")
    assert built(tmp_path) == folder
    assert not (folder / "src" / "left.py").exists()
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="holds something else"):
        build(load(tmp_path / "wws.toml", PLANTED), other)
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("lmdb:./state", "LMDB needs a disk"),
        ("memory:", "count in each alone"),
        ("redis://localhost:6379/0", "no connection to Redis"),
        ("workers-kv:", "cannot count exactly"),
    ],
)
def test_a_store_that_is_not_there(tmp_path: Path, store: str, words: str) -> None:
    assert words in refused(tmp_path, f'{TOML}[kv]\nstore = "{store}"\n')["kv.store"]


def test_what_the_platform_does_not_have_is_told_at_once(tmp_path: Path) -> None:
    toml = TOML.replace("https://shop.example", "http://127.0.0.1:3000").replace("VISITS", "WWS_KV")
    found = refused(tmp_path, toml + '[server]\ntrusted_proxies = ["10.0.0.0/8"]\n')
    assert "10.0.0.0/8" in found["server.trusted_proxies"]
    assert "nothing of this machine" in found["origin.url"]
    assert "the gateway's own" in found["kv_namespaces[0].binding"]


def test_a_secret_in_the_clear_is_refused_and_not_repeated(tmp_path: Path) -> None:
    found = refused(tmp_path, TOML.replace("${ZAI_API_KEY}", "sk-written-out"))
    assert "sk-written-out" not in found["providers.zai.api_key"]


def test_a_runtime_on_this_machine_reaches_it(tmp_path: Path) -> None:
    project = load(config(tmp_path, TOML.replace("https://shop.example", "http://127.0.0.1:3000")), PLANTED)
    assert (build_here(project, None).path / "src" / "entry.py").is_file()


def test_a_cron_that_the_platform_reads_in_another_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "cleanup.py").write_text("async def scheduled(event, env, ctx):\n    return None\n")
    wrong = refused(tmp_path, TOML + '[triggers]\ncrons = ["0 0 1 * MON"]\n')
    assert "a day of the month and a day of the week" in wrong["triggers.crons[0]"]
