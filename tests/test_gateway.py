"""The way of a request through the gateway: the steps in order, and what of them the answer tells."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.dial import ScriptedDial, Sent
from tests.support.services import Background, make_env
from wws.bindings import Context, SystemClock
from wws.core.limit.decision import Decision
from wws.core.policy import OFF, CachePolicy, Limit, Policy, Route
from wws.core.trail import Trail
from wws.errors import ConnectFailed, StoreError
from wws.functions.auth_admin import create_key
from wws.gateway import Gateway
from wws.hosts.server.application import Application
from wws.hosts.server.dialer import Dialer
from wws.hosts.server.server import Server
from wws.http import Outcome, Request, Response, Stream

KEPT = CachePolicy("fixed", per="public")
URL = "http://127.0.0.1:3000"


class World:
    """A gateway with one origin, and what `observe` was told."""

    def __init__(self, *routes: Route, **policy: Any) -> None:
        self.clock = FakeClock()
        self.dial = ScriptedDial()
        self.background = Background()
        self.told: list[tuple[str, int, Outcome, int]] = []
        routes = routes or (Route("/*", "origin", auth="none"),)
        self.env = make_env(
            Policy(origins={"default": URL}, routes=routes, **policy),
            self.clock,
            dial=self.dial,
            background=self.background,
            observe=self._observe,
        )
        self.gateway = Gateway(self.env)

    def _observe(self, request: Request, ctx: Context, status: int, outcome: Outcome, sent: int) -> None:
        self.told.append((request.path, status, outcome, sent))

    async def ask(self, target: str, method: str = "GET", **fields: str) -> Response:
        request = Request(method, target, {name.replace("_", "-"): value for name, value in fields.items()}, client="192.0.2.1")
        now = self.clock.monotonic()
        return await self.gateway.handle(request, self.env, Context("req-1", now + 300.0, Trail(now), self.background))


def note(response: Response, name: str) -> str | None:
    """One of the gateway's own header lines."""
    found = re.search(rf"^{name}: (.*)\r$", response.notes, re.MULTILINE)
    return found and found[1]


async def test_a_write_on_an_uncached_route_reaches_what_is_cached_on_another() -> None:
    """The one route keeps what the other one changes: RFC 9111 section 4.4."""
    world = World(
        Route("/page", "origin", auth="none", methods=("GET",), cache=KEPT),
        Route("/page", "origin", auth="none", methods=("POST", "DELETE"), cache=OFF),
    )
    world.dial.on("GET", "/page", Response(b"old"), Response(b"new"))
    world.dial.on("POST", "/page", Response(b"done"))
    assert (await world.ask("/page")).body == b"old"
    assert (await world.ask("/page")).body == b"old"
    assert world.dial.count("/page") == 1
    written = await world.ask("/page", "POST")
    assert written.body == b"done"
    assert note(written, "cache-status") == "wws; fwd=bypass"
    assert (await world.ask("/page")).body == b"new"


async def test_reading_an_uncached_route_does_not_touch_the_cache() -> None:
    world = World(Route("/*", "origin", auth="none", cache=OFF))
    world.dial.on("GET", "/a", Response(b"1"), Response(b"2"))
    world.dial.on("HEAD", "/a", Response(b""))
    assert [(await world.ask("/a")).body for _ in range(2)] == [b"1", b"2"]
    response = await world.ask("/a", "HEAD")
    assert note(response, "cache-status") == "wws; fwd=bypass"
    assert note(response, "x-wws-cache") == "BYPASS"
    assert "cache_manager" not in world.env.wws.state


async def test_each_limit_is_told_with_its_own_numbers() -> None:
    """Two routes may give one name and one path to limits that are not the same."""
    world = World(
        Route("/x", "origin", auth="none", methods=("GET",), limit=Limit(5, 60.0, name="x", endpoint="/x")),
        Route("/x", "origin", auth="none", methods=("POST",), limit=Limit(7, 10.0, name="x", endpoint="/x")),
    )
    for method in ("GET", "POST"):
        world.dial.on(method, "/x", Response(b""))
    for _ in range(2):
        read, written = await world.ask("/x"), await world.ask("/x", "POST")
        assert note(read, "ratelimit-policy") == '"x";q=5;w=60'
        assert note(written, "ratelimit-policy") == '"x";q=7;w=10'
        assert note(read, "x-ratelimit-limit-requests") == "5"
        assert note(written, "x-ratelimit-limit-requests") == "7"


def test_lines_follow_the_limit_itself_and_not_what_it_is_called() -> None:
    world = World()
    seen = []
    for count, period in [(5, 60.0), (7, 60.0), (5, 10.0), (5, 60.0)]:
        ctx = Context("r", 0.0, Trail(0.0), world.background)
        ctx.trail.limit_rule = Limit(count, period, name="same", endpoint="same")
        ctx.trail.limit_decision = Decision(True, 1, 0.0, 1.0)
        seen.append(world.gateway._limit_lines(ctx).split("\r\n")[0])
    assert seen == [f'ratelimit-policy: "same";q={q};w={w}' for q, w in [(5, 60), (7, 60), (5, 10), (5, 60)]]


async def test_the_own_pages_ask_nobody() -> None:
    world = World(Route("/*", "origin", auth="required"))
    assert (await world.ask("/healthz")).body == b'{"status":"ok"}'
    assert (await world.ask("/readyz")).status == 200
    world.gateway.ready = False
    draining = await world.ask("/readyz")
    assert (draining.status, b"draining" in bytes(draining.body)) == (503, True)  # type: ignore[arg-type]  # it is no stream
    assert (await world.ask("/healthz")).status == 200
    assert not world.dial.calls


@pytest.mark.parametrize(
    ("target", "method", "status", "code"),
    [
        ("/nowhere", "GET", 404, b"not_found"),
        ("/only/posts", "GET", 405, b"method_not_allowed"),
        ("/a/../secret", "GET", 400, b"invalid_request"),
        ("/locked", "GET", 401, b"missing_credential"),
    ],
)
async def test_what_is_refused_is_told_with_its_code(target: str, method: str, status: int, code: bytes) -> None:
    world = World(
        Route("/a/*", "origin", auth="none"),
        Route("/only/posts", "origin", auth="none", methods=("POST",)),
        Route("/locked", "origin", auth="required"),
    )
    response = await world.ask(target, method)
    assert response.status == status
    assert isinstance(response.body, bytes)
    assert b'"code":"%b"' % code in response.body
    assert response.headers["content-type"] == "application/problem+json"
    assert note(response, "x-request-id") == "req-1"
    assert world.told == [(target, status, "done", len(response.body))]
    assert world.gateway.in_flight == 0
    assert not world.dial.calls


async def test_more_than_the_capacity_is_shed_and_comes_back() -> None:
    world = World(max_in_flight=1)
    world.dial.on("GET", "/a", Response(Stream(iter_of(b"x"))))
    first = await world.ask("/a")
    assert world.gateway.in_flight == 1  # its stream has not ended
    second = await world.ask("/a")
    assert (second.status, second.headers["retry-after"]) == (503, "1")
    assert first.finish is not None
    first.finish("done", 1)
    assert world.gateway.in_flight == 0
    assert (await world.ask("/a")).status == 200
    assert world.told == [("/a", 503, "done", len(bytes(second.body))), ("/a", 200, "done", 1)]  # type: ignore[arg-type]


async def test_a_full_route_is_shed_and_the_others_are_not() -> None:
    world = World(
        Route("/slow", "origin", auth="none", max_in_flight=2),
        Route("/*", "origin", auth="none"),
    )
    world.dial.on("GET", "/slow", *[Response(Stream(iter_of(b"x"))) for _ in range(3)])
    world.dial.on("GET", "/other", Response(b"fine"))
    open_streams = [await world.ask("/slow") for _ in range(2)]
    for _ in range(3):  # one that is refused takes no place
        shed = await world.ask("/slow")
        assert (shed.status, shed.headers["retry-after"]) == (503, "1")
        assert b"concurrency_limit" in bytes(shed.body)  # type: ignore[arg-type]
    assert (await world.ask("/other")).body == b"fine"
    assert (await world.ask("/healthz")).status == 200
    finish = open_streams[0].finish
    assert finish is not None
    finish("client_closed", 0)
    assert (await world.ask("/slow")).status == 200
    assert (await world.ask("/slow")).status == 503


async def test_a_cancelled_request_gives_its_place_on_the_route_back() -> None:
    world = World(Route("/slow", "origin", auth="none", max_in_flight=1))

    class Never:
        async def send(self, *args: Any) -> Response:
            await asyncio.Event().wait()
            raise AssertionError

    world.env.wws.dial = Never()
    task = asyncio.ensure_future(world.ask("/slow"))
    await asyncio.sleep(0)
    assert (await world.ask("/slow")).status == 503
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.env.wws.dial = world.dial
    world.dial.on("GET", "/slow", Response(b"free"))
    assert (await world.ask("/slow")).body == b"free"


PAGE = "https://app.example"


def pages(*, auth: str = "required", **options: Any) -> World:
    world = World(Route("/api/*", "origin", auth=auth, methods=("GET", "POST"), cors=(PAGE,), **options))  # type: ignore[arg-type]
    world.dial.on("GET", "/api/a", Response(b"fine", 200, {"access-control-allow-origin": "*", "vary": "accept"}))
    return world


async def test_a_preflight_needs_no_credential_and_reaches_nobody() -> None:
    world = pages()
    asked = {
        "origin": PAGE,
        "access_control_request_method": "POST",
        "access_control_request_headers": "authorization,content-type",
    }
    answer = await world.ask("/api/a", "OPTIONS", **asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    assert note(answer, "ratelimit") is None
    assert world.dial.count("/api/a") == 0


async def test_a_preflight_of_another_page_is_refused_in_words() -> None:
    answer = await pages().ask("/api/a", "OPTIONS", origin="https://evil.test", access_control_request_method="POST")
    assert answer.status == 403
    assert b"origin_not_allowed" in bytes(answer.body)  # type: ignore[arg-type]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        ("/api/a", {"origin": PAGE}, 405),  # no preflight
        ("/api/a", {"access_control_request_method": "POST"}, 405),
        ("/api/a", {"origin": PAGE, "access_control_request_method": "DELETE"}, 405),  # a method that the route does not take
        ("/other", {"origin": PAGE, "access_control_request_method": "POST"}, 404),
    ],
)
async def test_any_other_options_goes_its_usual_way(target: str, fields: dict[str, str], status: int) -> None:
    assert (await pages().ask(target, "OPTIONS", **fields)).status == status


async def test_a_page_may_read_the_answer_and_what_is_told_beside_it() -> None:
    answer = await pages(auth="none").ask("/api/a", origin=PAGE)
    assert note(answer, "access-control-allow-origin") == PAGE
    assert "x-wws-provider" in (note(answer, "access-control-expose-headers") or "")
    assert note(answer, "vary") == "origin"
    assert "access-control-allow-origin" not in answer.headers  # the origin's own does not count
    assert answer.headers["vary"] == "accept"


async def test_a_page_may_read_why_it_was_refused() -> None:
    answer = await pages().ask("/api/a", origin=PAGE)
    assert answer.status == 401
    assert note(answer, "access-control-allow-origin") == PAGE


async def test_another_page_gets_the_answer_unreadable_and_no_cache_mixes_them() -> None:
    for fields in ({}, {"origin": "https://evil.test"}):
        answer = await pages(auth="none").ask("/api/a", **fields)
        assert note(answer, "access-control-allow-origin") is None
        assert note(answer, "vary") == "origin"


async def test_a_preflight_takes_no_place_on_a_full_route() -> None:
    world = pages(auth="none", max_in_flight=1)
    asked = {"origin": PAGE, "access_control_request_method": "GET"}
    for _ in range(3):
        assert (await world.ask("/api/a", "OPTIONS", **asked)).status == 204
    assert (await world.ask("/api/a")).status == 200


def iter_of(*pieces: bytes) -> Any:
    async def run() -> Any:
        for piece in pieces:
            yield piece

    return run()


async def test_a_failure_behind_us_is_not_counted_against_the_caller() -> None:
    world = World(Route("/x", "origin", auth="none", limit=Limit(2, 60.0, name="x", endpoint="/x")))
    world.dial.on("GET", "/x", ConnectFailed("refused"), ConnectFailed("refused"), Response(b"ok"))
    for _ in range(2):
        assert (await world.ask("/x")).status == 502
        await world.background.drain()
    assert [(await world.ask("/x")).status for _ in range(3)] == [200, 200, 429]


async def test_an_error_of_ours_says_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.dial.on("GET", "/x", RuntimeError("the planted detail"), Response(b"ok"))
    response = await world.ask("/x")
    assert response.status == 500
    assert b"planted" not in bytes(response.body)  # type: ignore[arg-type]  # it is no stream
    assert "the planted detail" in caplog.text
    assert (await world.ask("/x")).status == 200
    assert world.gateway.in_flight == 0


async def test_a_counter_that_fails_is_told_in_the_answer() -> None:
    class Broken:
        async def take(self, *args: object, **kwargs: object) -> Decision:
            raise StoreError("gone")

        async def give(self, *args: object, **kwargs: object) -> None:
            raise StoreError("gone")

    world = World()
    world.env.wws.counter = Broken()
    world.dial.on("GET", "/x", Response(b"ok"))
    response = await world.ask("/x")
    assert response.status == 200
    assert note(response, "x-wws-degraded") == "limit"
    assert note(response, "ratelimit") is None


async def test_a_caller_who_leaves_is_told_of_and_frees_its_place() -> None:
    world = World()
    reached = asyncio.Event()

    async def silent(sent: Sent) -> Response:
        reached.set()
        await asyncio.sleep(60)
        raise AssertionError

    world.dial.on("GET", "/slow", silent)
    asking = asyncio.create_task(world.ask("/slow"))
    await reached.wait()
    assert world.gateway.in_flight == 1
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert world.gateway.in_flight == 0
    assert world.told == [("/slow", 499, "client_closed", 0)]


async def test_a_stream_is_told_of_when_it_has_ended_and_not_before() -> None:
    world = World()
    world.dial.on("GET", "/s", Response(Stream(iter_of(b"abc"))))
    for outcome in ("done", "cut", "client_closed"):
        response = await world.ask("/s")
        count = len(world.told)
        assert response.finish is not None
        response.finish(outcome, 3)
        assert world.told[count:] == [("/s", 200, outcome, 3)]
    assert world.gateway.in_flight == 0


class Steps:
    """Writes down which part was asked, in order."""

    def __init__(self, world: World) -> None:
        self.taken: list[str] = []
        counter, dial = world.env.wws.counter, world.dial
        steps = self.taken

        class Counter:
            async def take(self, key: str, *args: Any, **kwargs: Any) -> Decision:
                steps.append(f"limit {key.split(':')[2]}")
                return await counter.take(key, *args, **kwargs)

            async def give(self, *args: Any, **kwargs: Any) -> None:
                steps.append("give back")
                await counter.give(*args, **kwargs)

        class Dial:
            async def send(self, *args: Any, **kwargs: Any) -> Response:
                steps.append("origin")
                return await dial.send(*args, **kwargs)

        world.env.wws.counter = Counter()
        world.env.wws.dial = Dial()


async def key_of(world: World, name: str = "test") -> str:
    return (await create_key(world.env, name, random=os.urandom))[1]


async def test_the_steps_in_their_order() -> None:
    world = World(Route("/*", "origin", auth="required"))
    key = await key_of(world)
    world.dial.on("GET", "/a", Response(b"ok"))
    world.dial.on("GET", "/bad", ConnectFailed("refused"))
    steps = Steps(world)
    assert (await world.ask("/a")).status == 401
    assert steps.taken == []  # who says nothing is no guess, and costs no count
    assert (await world.ask("/a", authorization="Bearer wws_live_nonsense")).status == 401
    assert steps.taken == ["limit a.192.0.2.1"]  # a guess is counted by address
    steps.taken.clear()
    response = await world.ask("/a", authorization=f"Bearer {key}")
    assert response.status == 200
    assert [step.split("%")[0] for step in steps.taken] == ["limit u.key", "origin"]
    steps.taken.clear()
    assert (await world.ask("/bad", authorization=f"Bearer {key}")).status == 502
    await world.background.drain()
    assert [step.split("%")[0] for step in steps.taken] == ["limit u.key", "origin", "give back"]


@pytest.mark.parametrize(
    ("auth", "nothing", "nonsense", "good"), [("required", 401, 401, 200), ("optional", 200, 401, 200), ("none", 200, 200, 200)]
)
async def test_who_must_say_who_they_are(auth: Any, nothing: int, nonsense: int, good: int) -> None:
    world = World(Route("/*", "origin", auth=auth))
    key = await key_of(world)
    world.dial.on("GET", "/a", Response(b"ok"))
    assert (await world.ask("/a", x_user_id="admin")).status == nothing
    assert (await world.ask("/a", authorization="Bearer wws_live_nonsense")).status == nonsense
    assert (await world.ask("/a", authorization=f"Bearer {key}", x_user_id="admin")).status == good
    told = [call.header("x-user-id") for call in world.dial.calls]
    assert "admin" not in told
    assert told[-1] is None if auth == "none" else str(told[-1]).startswith("key:")


async def test_a_path_without_the_method_names_those_it_has() -> None:
    world = World(Route("/a", "origin", auth="none", methods=("GET", "PUT")))
    response = await world.ask("/a", "DELETE")
    assert response.status == 405
    assert {method.strip() for method in response.headers["allow"].split(",")} == {"GET", "HEAD", "PUT"}


async def test_guesses_past_the_limit_of_the_address_stop_only_guesses_there() -> None:
    """A verified caller behind the same address is not refused for what another one's requests came to."""
    world = World(Route("/*", "origin", auth="optional", limit=Limit(1, 60.0, name="x", endpoint="/*")))
    key = await key_of(world)
    world.dial.on("GET", "/a", Response(b"ok"))
    assert [(await world.ask("/a")).status for _ in range(3)] == [200, 429, 429]
    assert (await world.ask("/a", authorization=f"Bearer {key}")).status == 200


async def test_every_answer_says_what_was_done() -> None:
    world = World()
    world.dial.on("GET", "/a", Response(b"ok", 200, {"server": "origin"}))
    response = await world.ask("/a")
    assert note(response, "x-request-id") == "req-1"
    steps = note(response, "server-timing")
    assert steps is not None
    assert [step.split(";")[0] for step in steps.split(", ")] == ["auth", "limit", "route", "cache", "upstream", "total"]
    assert str(note(response, "ratelimit-policy")).startswith('"default";q=100;w=60')
    assert [note(response, f"x-ratelimit-{name}-requests") for name in ("limit", "remaining")] == ["100", "99"]
    assert response.headers["server"] == "origin"


async def test_the_route_s_own_time_bounds_the_deadline() -> None:
    world = World(Route("/quick", "origin", auth="none", timeout=5.0), Route("/*", "origin", auth="none"))
    for path in ("/quick", "/other"):
        world.dial.on("GET", path, Response(b"ok"))
        await world.ask(path)
    start = world.clock.monotonic()
    assert [call.deadline for call in world.dial.calls] == [start + 5.0, start + 300.0]


async def test_a_gateway_that_is_its_own_origin_ends_the_loop() -> None:
    """Over real sockets: each pass is a request of its own, and the last one is refused."""
    loop = asyncio.get_running_loop()
    dialer = Dialer(loop)
    origins: dict[str, str] = {}
    policy = Policy(routes=(Route("/*", "origin", auth="none"),), origins=origins)
    env = make_env(policy, dial=dialer, background=Background())
    env.wws.clock = SystemClock()
    server = Server(Application(Gateway(env), env, Background(), "loop-"), loop)
    port = int((await server.listen("127.0.0.1:0")).rpartition(":")[2])
    origins["default"] = f"http://127.0.0.1:{port}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(5.0):
        answer = await reader.read()
    writer.close()
    dialer.close()
    await server.stop(0.0)
    assert answer.startswith(b"HTTP/1.1 502") and b"leads back to it" in answer
