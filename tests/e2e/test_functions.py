"""A project of functions, served as a user serves it."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.ask import ask
from tests.e2e.program import Gateway, wws
from tests.e2e.projects import SERVER
from tests.project.functions.write import HELLO, write

TOML = SERVER + '[kv]\nstore = "lmdb:./state"\n[[kv_namespaces]]\nbinding = "VISITS"\n[limits]\naddress = "off"\n'
FILES = {
    "hello.py": """
        from lib.words import greeting
        from wws import Response

        config = {"auth": "none", "limit": "1000/min"}

        async def fetch(request, env, ctx):
            visits = int(await env.VISITS.get("all") or 0) + 1
            ctx.wait_until(env.VISITS.put("all", str(visits)))
            return Response.json({"hello": greeting(request), "visits": visits})
    """,
    "lib/words.py": "def greeting(request):\n    return request.query.get('name', 'world')\n",
    "api/_middleware.py": """
        async def fetch(request, env, ctx):
            response = await ctx.next()
            response.headers.set("x-middleware", "was here")
            return response
    """,
    "api/[id].py": """
        import asyncio
        from wws import Response

        async def get(request, env, ctx):
            async with asyncio.timeout(5):
                await asyncio.sleep(0)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(0, ctx.params["id"]))
            return Response.text(task.result())
    """,
    "private.py": HELLO + 'config = {"auth": "required"}\n',
    "raises.py": "async def fetch(request, env, ctx):\n    return {}['secret key']\n",
    "syntax.py": "async def fetch(request, env, ctx)\n    return 1\n",
    "imports.py": "raise ValueError('at import')\n" + HELLO,
}


def test_a_project_of_functions(tmp_path: Path) -> None:
    write(tmp_path / "functions", FILES)
    gateway = Gateway(tmp_path, TOML)  # not by `with`, which takes a traceback in the log for a failure
    gateway.start()
    try:
        assert ask(gateway.url, "/hello").json == {"hello": "world", "visits": 1}
        assert ask(gateway.url, "/hello?name=you").json == {"hello": "you", "visits": 2}
        by_id = ask(gateway.url, "/api/42")
        assert (by_id.body, by_id.headers["x-middleware"]) == (b"42", "was here")
        refused = ask(gateway.url, "/api/42", "POST", body={})
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert ask(gateway.url, "/private").status == 401
        key = gateway.create_key("--name", "test")["key"]
        assert ask(gateway.url, "/private", token=key).status == 200
        broken = {path: ask(gateway.url, path) for path in ("/raises", "/syntax", "/imports")}
        assert {path: (one.status, one.json["code"]) for path, one in broken.items()} == {
            "/raises": (500, "function_failed"),
            "/syntax": (500, "function_broken"),
            "/imports": (500, "function_broken"),
        }
        assert ask(gateway.url, "/hello").status == 200
        assert "syntax.py:1: syntax error" in gateway.stderr
        assert "imports.py:1: cannot be imported: ValueError: at import" in gateway.stderr
        request_id = broken["/raises"].headers["x-request-id"]
        assert f"request {request_id}: function raises failed" in gateway.stderr
        assert "KeyError" in gateway.stderr
    finally:
        status = gateway.stop()
    assert status == 0


def test_check_says_what_is_wrong_with_a_function(tmp_path: Path) -> None:
    write(tmp_path / "functions", {"syntax.py": FILES["syntax.py"], "policy.py": HELLO + 'config = {"auth": "yes"}'})
    (tmp_path / "wws.toml").write_text(TOML)
    ran = wws("check", cwd=tmp_path)
    assert ran.status == 1
    assert "functions/syntax.py:1\t\tsyntax error: expected ':'" in ran.out
    assert 'functions/policy.py:6\tconfig.auth\tfound "yes"' in ran.out
