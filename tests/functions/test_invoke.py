"""Running the project's own code: handlers, middlewares, what it raises, and what the caller sees."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.support.services import make_env
from wws import codec
from wws.bindings import Context
from wws.core.policy import CachePolicy, Limit, Policy, Route
from wws.core.trail import Trail
from wws.errors import ConnectFailed, FunctionError, Problem, Refusal, UpstreamTimeout
from wws.functions.invoke import Code, Function
from wws.gateway import Gateway
from wws.http import Request, Response


class World:
    """A gateway with functions that are plain Python here."""

    def __init__(self, *routes: Route, **functions: Function) -> None:
        self.env = make_env(Policy(routes=routes), functions=functions)
        self.gateway = Gateway(self.env)

    async def ask(self, path: str, method: str = "GET", body: bytes = b"") -> Response:
        now = self.env.wws.clock.monotonic()
        request = Request(method, path, body=body, client="192.0.2.1")
        return await self.gateway.handle(request, self.env, Context("req-1", now + 300.0, Trail(now), self.env.wws.background))


def function(
    handler: Any = None, *, around: tuple[Any, ...] = (), name: str = "it", rest: Any = None, **methods: Any
) -> Function:
    async def load() -> Code:
        return Code(handler, {name.upper(): one for name, one in methods.items()}, around)

    return Function(name, load, rest=rest, plain=True)


def world(handler: Any = None, path: str = "/it", cache: CachePolicy | None = None, **parts: Any) -> World:
    route = Route(path, "function", "it", auth="none", cache=cache or CachePolicy())
    return World(route, it=function(handler, **parts))


def code(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return codec.decode(response.body)["code"]


async def test_a_function_answers() -> None:
    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        return Response.json([request.method, ctx.request_id, ctx.params["id"], request.params["id"], ctx.user])

    response = await world(fetch, "/it/:id").ask("/it/7")
    assert (response.status, response.body) == (200, b'["GET","req-1","7","7",null]')


@pytest.mark.parametrize(("path", "rest"), [("/it/a/b%20c", "a/b c"), ("/it/", ""), ("/it/a/", "a/")])
async def test_the_rest_of_a_path(path: str, rest: str) -> None:
    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        return Response.text(ctx.params["rest"])

    assert (await world(fetch, "/it/*", rest=("rest", 1)).ask(path)).body == rest.encode()


async def test_handlers_of_methods() -> None:
    async def get(request: Any, env: Any, ctx: Any) -> Response:
        return Response.text("got")

    async def post(request: Any, env: Any, ctx: Any) -> Response:
        return Response.text("posted")

    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        return Response.text("any")

    only = world(get=get, post=post)
    assert (await only.ask("/it")).body == b"got"
    assert (await only.ask("/it", "POST")).body == b"posted"
    assert (await only.ask("/it", "HEAD")).status == 200
    refused = await only.ask("/it", "DELETE")
    assert (refused.status, refused.headers.get("allow")) == (405, "GET, POST, HEAD, OPTIONS")
    options = await only.ask("/it", "OPTIONS")
    assert (options.status, options.headers.get("allow")) == (204, "GET, POST, HEAD, OPTIONS")
    both = world(fetch, post=post)
    assert [(await both.ask("/it", method)).body for method in ("GET", "POST", "DELETE")] == [b"any", b"posted", b"any"]


async def test_a_function_of_events_alone_is_not_found() -> None:
    assert (await world().ask("/it")).status == 404


async def test_middlewares_run_around_it_from_the_outermost() -> None:
    seen: list[str] = []

    def middleware(name: str) -> Any:
        async def fetch(request: Any, env: Any, ctx: Any) -> Response:
            seen.append(f"{name} in")
            ctx.data["by"] = [*ctx.data.get("by", ()), name]
            response: Response = await ctx.next()
            seen.append(f"{name} out")
            response.headers.append("x-by", name)
            return response

        return fetch

    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        seen.append("it")
        return Response.json(ctx.data["by"])

    response = await world(fetch, around=(middleware("outer"), middleware("inner"))).ask("/it")
    assert seen == ["outer in", "inner in", "it", "inner out", "outer out"]
    assert response.body == b'["outer","inner"]'
    assert response.headers.getall("x-by") == ["inner", "outer"]


async def test_a_middleware_may_answer_itself_go_twice_or_send_on_another_request() -> None:
    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        return Response.text(request.headers.get("x-set") or "none", 503 if request.headers.get("x-set") is None else 200)

    async def again(request: Any, env: Any, ctx: Any) -> Response:
        first: Response = await ctx.next()
        second: Response = await ctx.next(Request("GET", "/it", {"x-set": "by the middleware"}))
        return second if first.status != 200 else first

    async def inner(request: Any, env: Any, ctx: Any) -> Response:
        response: Response = await ctx.next()
        return response

    async def closed(request: Any, env: Any, ctx: Any) -> Response:
        return Response.text("closed", 403)

    assert (await world(fetch, around=(again, inner)).ask("/it")).body == b"by the middleware"
    assert (await world(fetch, around=(closed, again)).ask("/it")).status == 403


async def test_what_a_function_raises_is_in_the_log_and_not_in_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        raise RuntimeError("the secret reason")

    response = await world(fetch).ask("/it")
    assert (response.status, code(response)) == (500, "function_failed")
    assert isinstance(response.body, bytes) and b"secret" not in response.body
    assert "x-request-id: req-1" in response.notes
    [record] = caplog.records
    assert (record.levelno, record.message) == (logging.ERROR, "request req-1: function it failed")
    assert record.exc_text is not None or record.exc_info is not None
    assert "the secret reason" in caplog.text and "_handle" not in caplog.text


@pytest.mark.parametrize(
    ("returned", "said"),
    [(None, "returned NoneType, not a Response: is a `return` missing?"), ("text", "returned str, not a Response")],
)
async def test_what_is_no_response_is_said(returned: Any, said: str, caplog: pytest.LogCaptureFixture) -> None:
    async def fetch(request: Any, env: Any, ctx: Any) -> Any:
        return returned

    assert code(await world(fetch).ask("/it")) == "function_failed"
    assert f"the handler of it {said}" in caplog.text


async def test_a_refusal_of_the_code_itself_is_the_answer() -> None:
    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        if request.method == "POST":
            return Response.json(await request.json())
        raise Refusal("unprocessable", "Not that.")

    it = world(fetch)
    assert (await it.ask("/it")).status == 422
    assert code(await it.ask("/it", "POST", b"{")) == "invalid_json"


async def test_a_function_that_cannot_be_loaded(caplog: pytest.LogCaptureFixture) -> None:
    async def load() -> Code:
        raise FunctionError([Problem("functions/it.py", 3, "", "no")])

    it = World(Route("/it", "function", "it", auth="none"), it=Function("it", load))
    assert code(await it.ask("/it")) == "function_broken"
    assert "functions/it.py:3: no" in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [(ConnectFailed("no connection to api.example"), 502, "fetch_failed"), (UpstreamTimeout("first_byte"), 504, "fetch_timeout")],
)
async def test_what_the_function_needs_is_down(
    error: Exception, status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        raise error

    response = await world(fetch).ask("/it")
    assert (response.status, code(response)) == (status, said)
    assert f"request req-1: function it, line {fetch.__code__.co_firstlineno + 1}: {error}" in caplog.text
    assert "Traceback" not in caplog.text


async def test_an_old_answer_stands_in_for_a_function_that_fails() -> None:
    broken = False

    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        if broken:
            raise ConnectFailed("no connection to api.example")
        return Response.text("old", headers={"cache-control": "max-age=60, stale-if-error=600"})

    it = world(fetch, cache=CachePolicy("obey-origin", per="public"))
    assert (await it.ask("/it")).body == b"old"
    broken = True
    clock: Any = it.env.wws.clock
    clock.advance(120.0)
    assert (await it.ask("/it")).body == b"old"


async def test_a_route_without_its_function_is_not_found() -> None:
    assert (await World(Route("/it", "function", "other", auth="none")).ask("/it")).status == 404


async def test_a_body_over_the_limit_is_refused_when_it_is_read() -> None:
    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        return Response.text(str(len(await request.bytes())))

    it = World(Route("/it", "function", "it", auth="none"), it=function(fetch))
    it.env.wws.policy = Policy(routes=it.env.wws.policy.routes, function_limit=10)
    assert (await it.ask("/it", "POST", b"0123456789")).body == b"10"
    assert code(await it.ask("/it", "POST", b"0123456789x")) == "body_too_large"


async def test_a_cached_function_is_run_once_and_for_many_at_once() -> None:
    runs = 0

    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        return Response.text(str(runs))

    it = world(fetch, cache=CachePolicy("fixed", per="public"))
    answers = await asyncio.gather(*[it.ask("/it") for _ in range(8)])
    assert {answer.body for answer in answers} == {b"1"}
    assert (await it.ask("/it")).body == b"1"
    assert runs == 1


async def test_a_failure_of_the_function_is_not_counted_against_the_caller() -> None:
    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        return Response.text("no", 500)

    it = World(Route("/it", "function", "it", auth="none", limit=Limit(1, 60.0)), it=function(fetch))
    for _ in range(3):
        assert (await it.ask("/it")).status == 500
        await it.env.wws.background.drain()  # type: ignore[attr-defined]  # the tests' own


async def test_two_paths_of_one_route_share_its_limit() -> None:
    async def fetch(request: Any, env: Any, ctx: Any) -> Response:
        return Response.text("ok")

    it = World(Route("/it", "function", "it", auth="none", limit=Limit(1, 60.0), aliases=("/it/",)), it=function(fetch))
    assert [(await it.ask(path)).status for path in ("/it", "/it/", "/it")] == [200, 429, 429]
