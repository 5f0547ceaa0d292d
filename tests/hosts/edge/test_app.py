"""What functions see at the edge: the same names as on a server."""

from __future__ import annotations

from typing import Any

from tests.support.clock import FakeClock
from tests.support.services import NoDial
from wws.bindings import Context
from wws.core.policy import Policy, Route
from wws.core.trail import Trail
from wws.functions.invoke import Code, Function
from wws.hosts.edge.app import assemble
from wws.hosts.edge.bundle import Bundle, Tick
from wws.http import Request, Response
from wws.stores.memory import MemoryStore


async def test_the_bindings_of_every_host() -> None:
    async def auth(request: Any, env: Any, ctx: Any) -> Response:
        return Response.text(f"{request.path} {env.COLOUR}")

    async def page(request: Any, env: Any, ctx: Any) -> Response:
        kept = await env.cache.match("/kept")
        await env.cache.put("/kept", Response.text("kept", headers={"cache-control": "max-age=60"}))
        answer = await env.AUTH.fetch("/check")
        return Response.json([answer.body.decode(), kept is None, type(env.ai).__name__, type(env.fetch).__name__])

    async def load() -> Code:
        raise AssertionError("is there already")

    policy = Policy(routes=(Route("/page", "function", "page", auth="none"),))
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    web: Any = object()
    functions = {name: Function(name, load, code=Code(one, {}), plain=True) for name, one in {"auth": auth, "page": page}.items()}
    app = assemble(
        web,
        Bundle(policy, vars={"COLOUR": "blue"}, services={"AUTH": "auth"}),
        b"p" * 32,
        kv=store,
        counter=store,
        providers={},
        functions=functions,
        clock=clock,
        dial=NoDial(),
        write=lambda line: None,
    )
    now = clock.monotonic()
    request = Request("GET", "/page", authority="shop.test")
    answer = await app.gateway.handle(request, app.env, Context("req-1", now + 30.0, Trail(now), lambda awaitable: None))
    assert answer.body == b'["/check blue",true,"Models","Fetcher"]'


async def test_a_tick_is_known_by_the_expression_of_the_platform() -> None:
    ran: list[tuple[str, str]] = []

    def job(name: str) -> Function:
        async def scheduled(event: Any, env: Any, ctx: Any) -> None:
            ran.append((name, event.cron))

        async def load() -> Code:
            raise AssertionError("is there already")

        return Function(name, load, code=Code(None, {}, events={"scheduled": scheduled}))

    clock = FakeClock()
    store = MemoryStore(clock=clock)
    web: Any = object()
    ticks = (Tick("0 3 * * 1-5", "clean", "0 3 * * MON,TUE"), Tick("0 3 * * mon-fri", None, "0 3 * * MON,TUE"), Tick("* * * * *"))
    app = assemble(
        web,
        Bundle(Policy(routes=()), crons=ticks),
        b"p" * 32,
        kv=store,
        counter=store,
        providers={},
        functions={name: job(name) for name in ("clean", "count")},
        clock=clock,
        dial=NoDial(),
        write=lambda line: None,
    )
    await app.scheduled("0 3 * * MON,TUE", 0.0, lambda work: None)
    assert sorted(ran) == [("clean", "0 3 * * 1-5"), ("count", "0 3 * * mon-fri")]
    ran.clear()
    await app.scheduled("* * * * *", 60.0, lambda work: None)
    assert sorted(ran) == [("clean", "* * * * *"), ("count", "* * * * *")]
    await app.scheduled("0 3 * * 1-5", 0.0, lambda work: None)
    assert len(ran) == 2, "the platform never names it so"
