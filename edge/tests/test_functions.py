"""The project's own functions in a real Python Worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.ask import ask
from tests.project.functions.write import write
from tests.scenarios.hosts.workerd import WorkerdHost

TOML = 'name = "functions"\n[[kv_namespaces]]\nbinding = "VISITS"\n[vars]\nREGION = "eu"\nTOKEN = "${SHOP_TOKEN}"\n'
FILES = {
    "hello.py": """
        from lib.words import greeting
        from wws import Response

        config = {"auth": "none", "limit": "1000/min"}

        async def fetch(request, env, ctx):
            visits = int(await env.VISITS.get("all") or 0) + 1
            ctx.wait_until(env.VISITS.put("all", str(visits)))
            return Response.json({"hello": greeting(request), "visits": visits, "at": env.REGION, "token": env.TOKEN})
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
        from ._suffix import SUFFIX
        from wws import Response

        async def get(request, env, ctx):
            async with asyncio.timeout(5):
                await asyncio.sleep(0)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(0, ctx.params["id"]))
            return Response.text(task.result() + SUFFIX)
    """,
    "api/_suffix.py": "SUFFIX = '!'\n",
    "files/[...rest].py": """
        from wws import Response
        async def fetch(request, env, ctx):
            return Response.json(ctx.params)
    """,
    "counting.py": """
        from wws import Response
        async def fetch(request, env, ctx):
            async def numbers():
                for number in range(3):
                    yield {"n": number}
            return Response.sse(numbers())
    """,
    "chance.py": """
        import secrets
        from wws import Response
        NUMBER = secrets.token_hex(4)
        async def fetch(request, env, ctx):
            return Response.text(NUMBER)
    """,
    "raises.py": "async def fetch(request, env, ctx):\n    return {}['secret key']\n",
    "imports.py": "raise ValueError('at import')\nasync def fetch(request, env, ctx):\n    return None\n",
    "echo.py": """
        from wws import Response
        async def post(request, env, ctx):
            return Response.json({"got": await request.json()})
    """,
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("functions")
    write(folder / "functions", FILES)
    with WorkerdHost(folder, TOML, {"SHOP_TOKEN": "t-1"}) as host:
        yield host.url


def test_a_function_with_its_bindings(url: str) -> None:
    first, second = ask(url, "/hello"), ask(url, "/hello?name=you")
    assert first.json == {"hello": "world", "visits": 1, "at": "eu", "token": "t-1"}
    assert (second.json["hello"], second.json["visits"]) == ("you", 2)


def test_middlewares_parameters_and_methods(url: str) -> None:
    answer = ask(url, "/api/42")
    assert (answer.body, answer.headers["x-middleware"]) == (b"42!", "was here")
    refused = ask(url, "/api/42", "POST", body={})
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert ask(url, "/files/a/b%20c").json == {"rest": "a/b c"}
    assert ask(url, "/echo", body={"a": 1}).json == {"got": {"a": 1}}


def test_a_stream_of_a_function(url: str) -> None:
    answer = ask(url, "/counting")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.body == b'data: {"n":0}\n\ndata: {"n":1}\n\ndata: {"n":2}\n\n'


def test_a_file_that_needs_randomness_is_imported_when_it_is_wanted(url: str) -> None:
    answer = ask(url, "/chance")
    assert answer.status == 200, answer.body
    assert len(answer.body) == 8


@pytest.mark.parametrize("path", ["/raises", "/imports"])
def test_what_fails_tells_nothing(url: str, path: str) -> None:
    answer = ask(url, path)
    assert answer.status == 500
    assert b"secret key" not in answer.body
    assert b"at import" not in answer.body
    assert ask(url, "/api/1").status == 200
