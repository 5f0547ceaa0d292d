"""What functions see in `env`: models, the outside world, a cache, other functions."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.project.functions.write import write
from wws import Response
from wws.errors import FetchRefused, Refusal
from wws.functions.scope import Scope
from wws.http import Request, Stream
from wws.testing import App

TOML = """
[kv]
store = "memory:"
[providers.sandbox]
[models]
code = "sandbox/any"
[[rules]]
use = "code"
[vars]
COLOUR = "blue"
[[kv_namespaces]]
binding = "NOTES"
[fetch]
allow = ["*.internal"]
limit = "1KiB"
[[services]]
binding = "AUTH"
function = "_auth"
"""
FILES = {
    "index.py": """
        from wws import Response
        async def fetch(request, env, ctx):
            return Response.text("index")
    """,
    "_auth.py": """
        from wws import Response
        async def fetch(request, env, ctx):
            if request.path == "/raises":
                raise RuntimeError("no")
            if request.path == "/again":
                return await env.AUTH.fetch("/again")
            who = ctx.user.id if ctx.user else None
            return Response.json([who, request.method, request.path, request.query, await request.text(), ctx.request_id])
    """,
}
Run = Callable[[Any, Request, Any], Awaitable[Any]]


@pytest.fixture
async def app(tmp_path: Path) -> Any:
    write(tmp_path / "functions", FILES)
    (tmp_path / "wws.toml").write_text(TOML)
    async with App(tmp_path) as app:
        yield app


def scope(app: App, user: str | None = None, path: str = "/", **headers: str) -> Any:
    """The `env` of a function, for a request of `user`."""
    from wws.bindings import Context
    from wws.core.auth.user import User
    from wws.core.trail import Trail

    now = app.env.wws.clock.monotonic()
    ctx = Context("req-1", now + 30.0, Trail(now), app._background)
    ctx.user = None if user is None else User(user)
    return Scope(app.env, Request("GET", path, headers, authority="app.test"), ctx)


def test_what_is_bound(app: App) -> None:
    env = scope(app)
    assert env.COLOUR == "blue"
    assert env.NOTES is env.NOTES
    with pytest.raises(AttributeError, match="no binding 'NOTHING' in wws.toml; there are: .*NOTES"):
        _ = env.NOTHING


# Models


async def test_a_chat(app: App) -> None:
    told: list[Any] = []

    def observed(request: Any, ctx: Any, status: int, outcome: str, sent: int) -> None:
        told.append((request.route.path, ctx.user.id, status, outcome))

    app.env.wws.observe = observed
    env = scope(app, "alice")
    answer = await env.ai.chat(messages=[{"role": "user", "content": "Hello"}], temperature=0.5)
    assert "Hello" in answer["choices"][0]["message"]["content"]
    chunks = [chunk async for chunk in await env.ai.chat(prompt="Hello", stream=True)]
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert text == answer["choices"][0]["message"]["content"]
    assert told == [("env.ai", "alice", 200, "done")] * 2


async def test_a_stream_that_nobody_reads_on_is_closed_and_counted(app: App) -> None:
    told: list[Any] = []
    app.env.wws.observe = lambda request, ctx, status, outcome, sent: told.append(outcome)
    chunks = await scope(app).ai.chat(prompt="a b c", stream=True)
    async for _ in chunks:
        break
    await chunks.aclose()
    assert told == ["client_closed"]


async def test_what_the_endpoint_refuses_is_raised(app: App) -> None:
    env = scope(app)
    with pytest.raises(Refusal) as caught:
        await env.ai.chat(model="nobody/nothing", prompt="x")
    assert caught.value.code == "model_not_found"
    with pytest.raises(ValueError, match="messages"):
        await env.ai.chat()


# The outside world


async def test_a_fetch(app: App) -> None:
    app.outside["https://api.example.com/items"] = Response.json({"ok": True}, 201)
    got = await scope(app).fetch("https://api.example.com/items?x=1", json={"a": 1}, headers={"authorization": "Bearer t"})
    assert (got.status, got.ok, await got.json(), await got.text(), got.redirected) == (
        201,
        True,
        {"ok": True},
        '{"ok":true}',
        False,
    )
    [request] = app.outside.requests
    assert (request.method, request.url, await request.json()) == ("POST", "https://api.example.com/items?x=1", {"a": 1})
    assert request.headers["content-type"] == "application/json"
    assert request.headers["via"] == "1.1 wws"


async def test_a_request_is_sent_on_and_its_answer_returned_as_it_is(app: App) -> None:
    async def pieces() -> Any:
        yield b"a"
        yield b"b"

    app.outside["http://files.example/"] = Response.stream(pieces(), headers={"connection": "x-hop", "x-hop": "1", "x-kept": "2"})
    env = scope(app)
    got = await env.fetch(Request.of("http://files.example/x", "GET", {"x-mine": "1", "connection": "close"}))
    response = got.as_response()
    assert isinstance(response.body, Stream)
    assert b"".join([piece async for piece in response.body]) == b"ab"
    assert response.headers.get("x-kept") == "2" and "x-hop" not in response.headers
    sent = app.outside.requests[0].headers
    assert sent.get("x-mine") == "1" and "connection" not in sent


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1/", "a loopback address"),
        ("http://169.254.169.254/latest/meta-data/", "link-local"),
        ("http://[::1]:8788/metrics", "a loopback address"),
        ("http://10.0.0.7/", "private network"),
        ("ftp://example.com/", "no http:// or https://"),
        ("file:///etc/passwd", "no http:// or https://"),
        ("http://user:pw@example.com/", "no user and password"),
    ],
)
async def test_where_a_function_may_not_go(app: App, url: str, said: str) -> None:
    with pytest.raises(FetchRefused, match=said):
        await scope(app).fetch(url)
    assert app.outside.requests == []


async def test_a_name_is_judged_by_every_address_it_has(app: App) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["8.8.8.8", "192.168.0.1"]

    app.env.wws.resolve = resolve
    with pytest.raises(FetchRefused, match="rebinding.example is an address of a private network"):
        await scope(app).fetch("http://rebinding.example/")
    app.outside["http://db.internal/"] = Response.text("inside")
    assert await (await scope(app).fetch("http://db.internal/")).text() == "inside"  # by [fetch] allow


async def test_redirects_are_followed_and_judged(app: App) -> None:
    app.outside["https://a.example/"] = Response.redirect("/next", 307)
    app.outside["https://a.example/next"] = Response.redirect("https://b.example/end", 303)
    app.outside["https://b.example/"] = Response.text("end")
    env = scope(app)
    got = await env.fetch("https://a.example/", body=b"data", headers={"authorization": "Bearer t", "content-type": "x/y"})
    assert (got.url, got.redirected, await got.text()) == ("https://b.example/end", True, "end")
    first, second, third = app.outside.requests
    assert [one.method for one in (first, second, third)] == ["POST", "POST", "GET"]
    assert await second.bytes() == b"data" and await third.bytes() == b""
    assert "authorization" in second.headers and "authorization" not in third.headers and "content-type" not in third.headers
    assert (await env.fetch("https://a.example/", redirect="manual")).status == 307
    with pytest.raises(FetchRefused, match="redirect='error'"):
        await env.fetch("https://a.example/", redirect="error")
    app.outside["https://c.example/"] = Response.redirect("http://127.0.0.1:8788/metrics")
    with pytest.raises(FetchRefused, match="loopback"):
        await env.fetch("https://c.example/")
    app.outside["https://d.example/"] = Response.redirect("https://d.example/")
    with pytest.raises(FetchRefused, match="more than 10 redirects"):
        await env.fetch("https://d.example/")


async def test_bounds_of_an_answer(app: App) -> None:
    async def pieces() -> Any:
        for _ in range(3):
            yield b"x" * 512

    app.outside["http://big.example/"] = Response.stream(pieces())
    app.outside["http://bomb.example/"] = Response(gzip.compress(b"0" * 100_000), 200, {"content-encoding": "gzip"})
    app.outside["http://gzip.example/"] = Response(gzip.compress(b"small"), 200, {"content-encoding": "gzip"})
    app.outside["http://zlib.example/"] = Response(zlib.compress(b"small"), 200, {"content-encoding": "deflate"})
    app.outside["http://lies.example/"] = Response(b"small", 200, {"content-encoding": "gzip"})
    env = scope(app)
    for name in ("big", "bomb"):
        with pytest.raises(FetchRefused, match="larger than 1024 bytes"):
            await (await env.fetch(f"http://{name}.example/")).bytes()
    assert [await (await env.fetch(f"http://{name}.example/")).text() for name in ("gzip", "zlib")] == ["small", "small"]
    with pytest.raises(ValueError, match="Content-Encoding"):
        await (await env.fetch("http://lies.example/")).text()


async def test_mistakes_of_a_call(app: App) -> None:
    env = scope(app)
    with pytest.raises(ValueError, match="not both"):
        await env.fetch("http://a.example/", body=b"x", json={})
    with pytest.raises(ValueError, match="percent-encode"):
        await env.fetch("http://a.example/a b")


async def test_a_fetch_that_comes_back_to_us_without_end_is_a_loop(app: App) -> None:
    assert (await app.fetch("/", headers={"via": "1.1 wws, 1.1 wws"})).status == 200
    assert (await app.fetch("/", headers={"via": ", ".join(["1.1 wws"] * 8)})).status == 508


# The cache


async def test_what_is_kept_is_found_again_until_it_expires(app: App) -> None:
    env = scope(app)
    request = Request("GET", "/page", authority="app.test")
    assert await env.cache.match(request) is None
    await env.cache.put(request, Response.text("kept", headers={"cache-control": "max-age=60"}))
    found = await env.cache.match("/page")
    assert (found.body, found.headers.get("age")) == (b"kept", "0")
    assert await env.cache.open("other").match("/page") is None
    assert await env.cache.delete("/page") and not await env.cache.delete("/page")
    assert await env.cache.match("/page") is None


async def test_what_a_user_keeps_is_the_users_own(app: App) -> None:
    alice, bob = scope(app, "alice"), scope(app, "bob")
    await alice.cache.put("/page", Response.text("of alice", headers={"cache-control": "private, max-age=60"}))
    assert (await alice.cache.match("/page")).body == b"of alice"
    assert await bob.cache.match("/page") is None and await scope(app).cache.match("/page") is None
    await alice.cache.public.put("/page", Response.text("of all", headers={"cache-control": "max-age=60"}))
    assert (await bob.cache.public.match("/page")).body == b"of all"


async def test_variants(app: App) -> None:
    env = scope(app)
    headers = {"cache-control": "max-age=60", "vary": "accept-language"}
    await env.cache.put(
        Request("GET", "/", {"accept-language": "de"}, authority="app.test"), Response.text("hallo", headers=headers)
    )
    assert await env.cache.match(Request("GET", "/", {"accept-language": "en"}, authority="app.test")) is None
    assert (await env.cache.match(Request("GET", "/", {"accept-language": "de"}, authority="app.test"))).body == b"hallo"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cache-control": "no-store"},
        {"cache-control": "private, max-age=9"},
        {"cache-control": "max-age=9", "set-cookie": "a=b"},
    ],
)
async def test_what_may_not_be_kept_is_an_error(app: App, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="may not be kept"):
        await scope(app).cache.put("/", Response.text("x", headers=headers))
    with pytest.raises(ValueError, match="only GET"):
        await scope(app).cache.put(Request("POST", "/"), Response.text("x"))


# Other functions


async def test_a_service_answers_for_the_same_user(app: App) -> None:
    env = scope(app, "alice")
    answer = await env.AUTH.fetch("/check?x=1", method="POST", body="data")
    assert answer.body == b'["alice","POST","/check",{"x":"1"},"data","req-1"]'
    assert (await env.AUTH.fetch("/raises")).status == 500
    with pytest.raises(Refusal) as caught:
        await env.AUTH.fetch("/again")
    assert caught.value.code == "loop_detected"


def test_private_functions_are_no_routes(app: App) -> None:
    assert {route.path for route in app.project.policy.routes if route.to == "function"} == {"/"}
