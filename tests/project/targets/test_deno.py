"""The folder for Deno: what stands in it, what never does, and what is refused before anything is deployed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wws.errors import ConfigError, WwsError
from wws.hosts.edge.bundle import read
from wws.project.targets._deno import VERSION
from wws.project.targets.deno import PYODIDE, build, build_here, deploy, dev, load

TOML = """\
name = "shop"
[auth]
supabase_url = "https://shop.supabase.co"
supabase_key = "${SUPABASE_KEY}"
[origin]
url = "http://app:3000"
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
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)


def config(folder: Path, toml: str = TOML) -> Path:
    path = folder / "wws.toml"
    path.write_text(toml)
    return path


def built(folder: Path, toml: str = TOML) -> Path:
    return build(load(config(folder, toml), PLANTED), None).path


def refused(folder: Path, toml: str) -> dict[str, str]:
    """Message by key."""
    with pytest.raises(ConfigError) as raised:
        built(folder, toml)
    assert not (folder / ".wws").exists()
    return {problem.key: problem.message for problem in raised.value.problems}


def test_what_deno_is_told(tmp_path: Path) -> None:
    told = json.loads((built(tmp_path) / "deno.json").read_text())
    assert told["imports"] == {"pyodide": "npm:pyodide@314.0.7"}
    assert told["unstable"] == ["cron", "kv", "no-legacy-abort"]
    assert told["deploy"]["build"] == "deno task snapshot"
    assert told["deploy"]["runtime"] == {"type": "dynamic", "entrypoint": "main.ts", "memoryLimit": 768}
    for name in ("snapshot", "start", "keys"):
        assert (tmp_path / ".wws" / "deno" / told["tasks"][name].split()[-1]).is_file()


def test_the_versions_are_those_that_are_tested() -> None:
    manifest = json.loads((Path(__file__).parents[3] / "edge" / "package.json").read_text())
    assert (manifest["dependencies"]["deno"], manifest["dependencies"]["pyodide"]) == (VERSION, PYODIDE)


def test_no_secret_is_shipped_and_each_is_asked_for(tmp_path: Path) -> None:
    done = build(load(config(tmp_path), PLANTED), None)
    assert b"planted" not in b"".join(path.read_bytes() for path in done.path.rglob("*") if path.is_file())
    assert any(all(name in note for name in (*PLANTED, "WWS_PEPPER")) for note in done.notes)


def test_what_is_shipped_is_the_checked_policy(tmp_path: Path) -> None:
    data = json.loads((built(tmp_path) / "bundle.json").read_text())
    bundle, _ = read(data, {**PLANTED, "WWS_PEPPER": "p" * 32}.get)
    assert bundle.policy.origins == {"default": "http://app:3000"}
    assert bundle.policy.providers["zai"].api_key == PLANTED["ZAI_API_KEY"]
    assert bundle.vars == {"REGION": "eu", "TOKEN": PLANTED["SHOP_TOKEN"]}


def test_the_archive_is_all_that_python_needs(tmp_path: Path) -> None:
    """The gateway, put together from the archive alone, without a site-packages folder."""
    script = (
        "import sys, types; sys.path.insert(0, 'python.zip')\n"
        "for name in ('js', 'pyodide', 'pyodide.ffi'): sys.modules[name] = types.ModuleType(name)\n"
        "sys.modules['pyodide'].ffi = sys.modules['pyodide.ffi']\n"
        "import wws.hosts.deno.main as main\n"
        "main.warm(open('bundle.json').read())\n"
        "assert main.__file__.startswith('python.zip'), main.__file__\n"
        "print(sorted(name for name in sys.modules if name.startswith('wws.') and 'server' in name))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], cwd=built(tmp_path), capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("['wws.functions.auth_server']", "")


def test_the_same_project_gives_the_same_bytes(tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in built(tmp_path).iterdir()}
    (tmp_path / ".wws" / "deno" / "snapshot.bin").write_bytes(b"of the build before")
    assert {path.name: path.read_bytes() for path in built(tmp_path).iterdir()} == first


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("lmdb:./state", "LMDB is a native library"),
        ("memory:", "count in each alone"),
        ("redis://localhost:6379/0", "opens no connections"),
    ],
)
def test_a_store_that_is_not_there(tmp_path: Path, store: str, words: str) -> None:
    assert words in refused(tmp_path, f'{TOML}[kv]\nstore = "{store}"\n')["kv.store"]


def test_what_the_platform_does_not_have_is_told_at_once(tmp_path: Path) -> None:
    toml = TOML.replace("http://app:3000", "http://127.0.0.1:3000")
    found = refused(tmp_path, toml + '[server]\ntrusted_proxies = ["10.0.0.0/8"]\n')
    assert "10.0.0.0/8" in found["server.trusted_proxies"]
    assert "nothing of this machine" in found["origin.url"]


def test_public_files_go_along(tmp_path: Path) -> None:
    public = tmp_path / "public"
    (public / "docs").mkdir(parents=True)
    for name, text in {
        "docs/index.html": "d",
        "404.html": "none",
        "app.js": "let x",
        "app.js.gz": "packed",
        ".hidden": "h",
    }.items():
        (public / name).write_text(text)
    folder = built(tmp_path)
    bundle = json.loads((folder / "bundle.json").read_text())
    assert bundle["missing"] == "/404.html"
    assert bundle["pages"]["/docs"]["redirect"] == "/docs/"
    assert bundle["pages"]["/app.js"]["variants"] == {"gzip": 6}
    found = {path.relative_to(folder / "public").as_posix(): path.read_text() for path in (folder / "public").rglob("*.*")}
    assert found == {"docs/index.html": "d", "404.html": "none", "app.js": "let x", "app.js.gz": "packed"}
    (public / "app.js").unlink()
    built(tmp_path)
    assert not (folder / "public" / "app.js").exists(), "what an earlier build left is gone"


def _cleanup(folder: Path) -> None:
    (folder / "functions").mkdir()
    (folder / "functions" / "cleanup.py").write_text("async def scheduled(event, env, ctx):\n    return None\n")


def test_crons_stand_where_the_platform_looks_for_them(tmp_path: Path) -> None:
    _cleanup(tmp_path)
    folder = built(tmp_path, TOML + '[triggers]\ncrons = ["*/5 * * * *", { cron = "0 3 * * 1-5", function = "cleanup" }]\n')
    assert (folder / "crons.ts").read_text().splitlines()[1:] == [
        'import { tick } from "./ticks.ts";',
        "",
        'Deno.cron("wws 1", "*/5 * * * *", () => tick("*/5 * * * *"));',
        'Deno.cron("wws 2", "0 3 * * MON,TUE,WED,THU,FRI", () => tick("0 3 * * 1-5"));',
    ]
    assert "cron" in json.loads((folder / "deno.json").read_text())["unstable"]
    assert "Deno.cron" not in (built(tmp_path) / "crons.ts").read_text()


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ('"0 0 1 * MON"', "a day of the month and a day of the week"),
        ('"0 0 L * *"', "L is read in different ways"),
        ('"0 0 * * 5#3"', "5#3 is read in different ways"),
        ('"0 0 0 * * *"', "with seconds; allowed here: five fields"),
        ('{ cron = "0 3 * * *", timezone = "Europe/Berlin" }', "by the clock of Europe/Berlin"),
    ],
)
def test_crons_that_mean_something_else_there_are_refused(tmp_path: Path, cron: str, words: str) -> None:
    _cleanup(tmp_path)
    assert words in refused(tmp_path, f"{TOML}[triggers]\ncrons = [{cron}]\n")["triggers.crons[0]"]


def test_an_address_of_a_network_of_one_s_own_is_reached(tmp_path: Path) -> None:
    assert built(tmp_path, TOML.replace("http://app:3000", "http://10.0.0.7:3000")).is_dir()


def test_a_process_on_this_machine_reaches_it(tmp_path: Path) -> None:
    project = load(config(tmp_path, TOML.replace("http://app:3000", "http://127.0.0.1:3000")), PLANTED)
    assert (build_here(project, None).path / "main.ts").is_file()


# calling deno


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A stand-in for deno that notes how it was called; the edge tests call the real one."""
    script = tmp_path / "node_modules" / ".bin" / "deno"
    script.parent.mkdir(parents=True)
    script.write_text('#!/bin/sh\n{ pwd; echo "$@"; env; } >> "$(dirname "$0")/../../called"\nexit 3\n')
    script.chmod(0o755)
    return tmp_path / "called"


def test_dev_runs_it_with_the_project_s_own_secrets(tmp_path: Path, tool: Path) -> None:
    toml = TOML.replace("http://app:3000", "http://127.0.0.1:3000") + '[server]\nlisten = "127.0.0.1:9001"\n'
    (tmp_path / ".dev.vars").write_text("SHOP_TOKEN=from-dev-vars\n")
    environ = {"PATH": "/usr/bin:/bin", "SUPABASE_KEY": "sb", "ZAI_API_KEY": "zai"}
    assert dev(load(config(tmp_path, toml), environ), environ) == 3
    folder, arguments, *given = tool.read_text().splitlines()
    assert folder == str(tmp_path / ".wws" / "deno")
    assert arguments.startswith("run --allow-net") and arguments.endswith(" main.ts")
    assert {"WWS_LISTEN=127.0.0.1:9001", "SHOP_TOKEN=from-dev-vars", "ZAI_API_KEY=zai"} <= set(given)
    assert f"WWS_KV={tmp_path}/.wws/deno.sqlite3" in given
    assert any(line.startswith("WWS_PEPPER=") and len(line) >= 75 for line in given)


@pytest.mark.parametrize(("dry_run", "arguments"), [(True, "check main.ts keys.ts snapshot.ts"), (False, "deploy --prod")])
def test_deploy_calls_it_in_what_was_built(tmp_path: Path, tool: Path, dry_run: bool, arguments: str) -> None:
    project = load(config(tmp_path), PLANTED)
    assert deploy(project, build(project, None), dry_run) == 3
    called = tool.read_text().splitlines()
    assert called[:2] == [str(tmp_path / ".wws" / "deno"), arguments]
    assert called.count(arguments) == 1, "what fails is not gone on with"


def test_without_deno_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    project = load(config(tmp_path), PLANTED)
    with pytest.raises(WwsError, match="npm install --global deno@"):
        deploy(project, build(project, None), True)
