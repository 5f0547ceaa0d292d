"""Crons in a real Python Worker, asked for as the platform asks, and what functions call from there."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.e2e.ask import ask
from tests.e2e.program import until
from tests.project.functions.write import write
from tests.scenarios.hosts.workerd import WorkerdHost

TOML = """\
name = "crons"
[[kv_namespaces]]
binding = "RUNS"
[[services]]
binding = "WORDS"
function = "echo"
[triggers]
crons = ["*/5 * * * *", { cron = "0 3 * * 1-5", function = "nightly" }]
"""
FILES = {
    "often.py": """
        async def scheduled(event, env, ctx):
            await env.RUNS.put("often", f"{event.cron} {event.scheduled_time.isoformat()}")
    """,
    "nightly.py": """
        async def scheduled(event, env, ctx):
            ctx.wait_until(env.RUNS.put("nightly", event.cron))
    """,
    "fails.py": """
        async def scheduled(event, env, ctx):
            raise ValueError("of a tick")
    """,
    "ran.py": """
        from wws import Response
        async def fetch(request, env, ctx):
            return Response.json([await env.RUNS.get("often"), await env.RUNS.get("nightly")])
    """,
    "calls.py": """
        import json
        from wws import Response
        async def fetch(request, env, ctx):
            answer = await env.WORDS.fetch("/echo", method="POST", body='{"from": "calls"}')
            refused = ""
            try:
                await env.fetch("http://127.0.0.1:1/")
            except Exception as error:
                refused = type(error).__name__
            return Response.json({"service": json.loads(answer.body), "refused": refused})
    """,
    "echo.py": """
        from wws import Response
        async def post(request, env, ctx):
            return Response.json({"got": await request.json()})
    """,
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerdHost]:
    folder = tmp_path_factory.mktemp("functions")
    write(folder / "functions", FILES)
    with WorkerdHost(folder, TOML, {}) as host:
        yield host


def test_crons_run_what_they_name(host: WorkerdHost) -> None:
    def tick(cron: str) -> str:
        told: str = ask(host.ticks, f"/?cron={quote(cron)}&at=1767225600").json["outcome"]
        return told

    assert tick("0 3 * * MON,TUE,WED,THU,FRI") == "ok"  # as it was deployed
    assert until(lambda: ask(host.url, "/ran").json[1], "the run") == "0 3 * * 1-5"  # as the project has it
    assert ask(host.url, "/ran").json[0] is None
    assert tick("*/5 * * * *") == "ok"  # every function with a handler, one of which fails
    assert ask(host.url, "/ran").json[0] == "*/5 * * * * 2026-01-01T00:00:00+00:00"


def test_a_function_calls_another_and_not_the_machine(host: WorkerdHost) -> None:
    assert ask(host.url, "/calls").json == {"service": {"got": {"from": "calls"}}, "refused": "FetchRefused"}
