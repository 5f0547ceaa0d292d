"""The folder for Deno, before Deno itself: its TypeScript, its snapshot, a start without one, and counts of two processes."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.ask import ask
from tests.e2e.crowd import CROWD, crowd
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until
from tests.e2e.projects import SERVER
from tests.edge.deno import DENO, MODULES, OPTIONS, environment
from tests.project.functions.write import HELLO, write
from tests.scenarios.functions import FILES
from tests.scenarios.hosts.deno import DenoHost, PlainDenoHost
from tests.scenarios.project import ENVIRONMENT, project
from wws.project.targets.deno import build, deploy, load

GLUE = Path(__file__).parents[2] / "src" / "wws" / "hosts" / "deno" / "glue"
CROWDS = 5
"""One after the other, of four callers each: a database that is locked while another process writes was met in one or two."""
SHOP = '[origin]\nurl = "https://shop.example"\n[[routes]]\npath = "/*"\nto = "origin"\n'


@pytest.fixture(scope="module")
def neighbours() -> Iterator[Neighbours]:
    with Neighbours() as around:
        yield around


def deno(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DENO), *arguments], cwd=folder, env=environment({}), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("words", [("check",), ("fmt", "--check"), ("lint",)], ids=lambda words: words[0])
def test_the_glue_is_typed_formatted_and_linted(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "wws.toml").write_text(SHOP)
    folder = build(load(tmp_path / "wws.toml", os.environ), None).path
    (folder / "node_modules").symlink_to(MODULES)
    options = OPTIONS[:2] if words == ("check",) else ()
    done = deno(folder, *words, *options, *sorted(path.name for path in GLUE.glob("*.ts")))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_border_s_glue_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_text(SHOP)
    folder = build(load(tmp_path / "wws.toml", os.environ), None).path
    script = Path(__file__).parent / "border.ts"
    (folder / script.name.replace("border", "try")).write_text(script.read_text())
    (folder / "node_modules").symlink_to(MODULES)
    done = deno(folder, "run", "--check", *OPTIONS, "try.ts")
    assert (done.returncode, done.stdout) == (0, "well\nwhat was told last\n"), done.stdout + done.stderr


def test_a_dry_run_of_a_deployment_makes_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node_modules" / ".bin").mkdir(parents=True)
    (tmp_path / "node_modules" / ".bin" / "deno").symlink_to(DENO)
    (tmp_path / "wws.toml").write_text(SHOP)
    monkeypatch.setenv("DENO_NO_UPDATE_CHECK", "1")
    loaded = load(tmp_path / "wws.toml", os.environ)
    done = build(loaded, None)
    lock = (done.path / "deno.lock").read_bytes()
    assert deploy(loaded, done, True) == 0
    assert (done.path / "snapshot.bin").stat().st_size > 20_000_000
    assert (done.path / "deno.lock").read_bytes() == lock, "what is installed is what the lock file says"


def test_it_starts_without_a_snapshot_too(tmp_path: Path, neighbours: Neighbours) -> None:
    write(tmp_path / "functions", FILES)
    with PlainDenoHost(tmp_path, project(neighbours, ""), ENVIRONMENT) as host:
        assert not (host.built / "snapshot.bin").exists()
        token = neighbours.supabase.mint()
        assert ask(host.url, "/private/page", token=token).status == 200
        assert ask(host.url, "/fn/api/7").body == b"7!"


def test_two_processes_on_one_database_count_together(tmp_path: Path, neighbours: Neighbours) -> None:
    toml, shared = project(neighbours, ""), {**ENVIRONMENT, "WWS_KV": str(tmp_path / "kv.sqlite3")}
    for name in ("first", "second"):
        write(tmp_path / name / "functions", FILES)
    with DenoHost(tmp_path / "first", toml, shared) as first, DenoHost(tmp_path / "second", toml, shared) as second:
        for number in range(CROWDS):
            tokens = [neighbours.supabase.mint(sub=f"user-{number}-{one}") for one in range(4)]
            for token in tokens:
                assert ask(first.url, "/private/page", token=token).status == 200
            assert crowd([first.url, second.url], "/five/things", tokens) == [{200: 5, 429: CROWD - 5}] * len(tokens)
        assert '"degraded"' not in first.output + second.output, "a locked file is waited for, and no process counts alone"


SCRIPT = "let x = 1;\n" * 500
FILES_ONLY = """\
name = "files"
[limits]
address = "off"
default = "100000/min"
"""


def test_files_are_answered_as_on_a_server_of_one_s_own(tmp_path: Path) -> None:
    big = os.urandom(3_000_000)
    public = write(
        tmp_path / "public",
        {
            "index.html": "home",
            "404.html": "nothing here",
            "app.js": SCRIPT,
            "docs/index.html": "d",
            "empty.txt": "",
            "a%b ü.txt": "x",
        },
    )
    (public / "app.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (public / "big.bin").write_bytes(big)
    write(tmp_path / "functions", {"hello.py": HELLO})
    with DenoHost(tmp_path, FILES_ONLY, {}) as here, Gateway(tmp_path, SERVER + FILES_ONLY.partition("\n")[2]) as there:
        for target, method, headers in FILE_REQUESTS:
            ours, own = ask(here.url, target, method, headers=headers), ask(there.url, target, method, headers=headers)
            assert (ours.status, ours.body) == (own.status, own.body), target
            for name in FILE_HEADERS:
                assert ours.headers.get(name) == own.headers.get(name), (target, name)
        page = ask(here.url, "/app.js")
        for name in ("if-none-match", "if-range"):
            assert ask(here.url, "/app.js", headers={name: page.headers["etag"]}).status == (
                304 if name == "if-none-match" else 200
            )
        assert ask(here.url, "/..%2fbundle.json").status == 400
        assert ask(here.url, "/../bundle.json").status == 400
        (here.built / "public" / "docs" / "index.html").write_text("another length")
        (here.built / "public" / "big.bin").unlink()
        assert ask(here.url, "/docs/").body == b"d", "what was read is kept"
        assert ask(here.url, "/big.bin").status == 500


FILE_REQUESTS: list[tuple[str, str, dict[str, str]]] = [
    ("/", "GET", {}),
    ("/hello", "GET", {}),
    ("/docs/", "GET", {}),
    ("/docs?x=1", "GET", {}),
    ("/none", "GET", {}),
    ("/empty.txt", "GET", {}),
    ("/a%25b%20%C3%BC.txt", "GET", {}),
    ("/app.js", "GET", {}),
    ("/app.js", "GET", {"accept-encoding": "gzip, br"}),
    ("/app.js", "HEAD", {"accept-encoding": "gzip, br"}),
    ("/app.js", "GET", {"range": "bytes=3-10"}),
    ("/app.js", "GET", {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}),
    ("/big.bin", "GET", {}),
    ("/big.bin", "HEAD", {}),
    ("/big.bin", "GET", {"range": "bytes=1000000-1999999"}),
    ("/big.bin", "GET", {"range": "bytes=-5"}),
    ("/big.bin", "GET", {"range": "bytes=3000000-"}),
    ("/", "POST", {}),
]
FILE_HEADERS = (
    "content-type", "content-length", "content-encoding", "content-range", "etag", "last-modified", "accept-ranges", "vary",
    "cache-control", "x-content-type-options", "location", "allow",
)  # fmt: skip


CRONS = """\
name = "crons"
[limits]
default = "100000/min"
[[kv_namespaces]]
binding = "RUNS"
[triggers]
crons = ["* * * * *", { cron = "0 3 * * 1", function = "weekly" }]
"""
JOBS = {
    "often.py": """
        async def scheduled(event, env, ctx):
            ran = await env.RUNS.get("often") or ""
            await env.RUNS.put("often", ran + f"{event.cron} {event.scheduled_time.second};")
    """,
    "weekly.py": """
        async def scheduled(event, env, ctx):
            await env.RUNS.put("weekly", event.cron)
    """,
    "ran.py": """
        from wws import Response
        async def fetch(request, env, ctx):
            return Response.json([await env.RUNS.get("often"), await env.RUNS.get("weekly")])
    """,
}


def test_the_platform_s_clock_runs_a_function_in_one_of_two_processes(tmp_path: Path) -> None:
    """It takes up to a minute: nothing but the platform's own clock is asked."""
    for name in ("first", "second"):
        write(tmp_path / name / "functions", JOBS)
    shared = {"WWS_KV": str(tmp_path / "kv.sqlite3")}
    with DenoHost(tmp_path / "first", CRONS, shared) as first, DenoHost(tmp_path / "second", CRONS, shared) as second:
        assert until(lambda: all(ask(first.url, "/ran").json), "a tick", 70.0)
        assert ask(second.url, "/ran").json == ["* * * * * 0;", "* * * * *"], "every function with a handler, each once"


def test_a_secret_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_text(SHOP)
    folder = build(load(tmp_path / "wws.toml", os.environ), None).path
    (folder / "node_modules").symlink_to(MODULES)
    done = deno(folder, "run", *OPTIONS, "main.ts")
    assert done.returncode == 1
    assert "WWS_PEPPER: not set on the platform" in done.stderr
