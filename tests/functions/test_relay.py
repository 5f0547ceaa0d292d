"""The way to the origin: what it is told of the caller, what the caller gets of its answer, and what happens when it fails."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from tests.support.dial import ScriptedDial, Sent
from tests.support.services import make_env
from wws.bindings import Context, Env
from wws.core.auth.user import User
from wws.core.policy import Policy, Route, Timeouts
from wws.core.trail import Trail
from wws.errors import ConnectFailed, Refusal, UpstreamCut, UpstreamError, UpstreamMalformed, UpstreamTimeout
from wws.functions.relay import relay_origin
from wws.http import Headers, Pair, Request, Response

ROUTE = Route("/*", "origin")
DATE = "Tue, 15 Nov 1994 08:12:31 GMT"


class World:
    """One origin at http://127.0.0.1:3000/base that answers `answer` to everything at /x."""

    def __init__(self, answer: Any = None, url: str = "http://127.0.0.1:3000/base") -> None:
        self.clock = FakeClock()
        self.dial = ScriptedDial()
        self.dial.on("GET", "/base/x", answer if answer is not None else Response(b"ok"))
        policy = Policy(origins={"default": url}, origin_timeouts=Timeouts(first_byte=7.0))
        self.env: Env = make_env(policy, self.clock, dial=self.dial)
        self.ctx = Context("req-1", 1_300.0, Trail(self.clock.monotonic()), lambda awaitable: None)

    async def ask(
        self,
        headers: Headers | dict[str, str] | None = None,
        *,
        user: User | None = None,
        conditional: list[Pair] | None = None,
        route: Route = ROUTE,
        client: str = "192.0.2.7",
    ) -> Response:
        request = Request("GET", "/x", headers, authority="shop.example", scheme="https", client=client)
        self.ctx.user = user
        return await relay_origin(request, self.env, self.ctx, route, conditional)

    @property
    def sent(self) -> Sent:
        return self.dial.calls[-1]


async def test_what_the_origin_is_told() -> None:
    world = World()
    response = await world.ask({"accept": "text/html"}, user=User("u-1", role="admin"))
    assert (response.status, response.body) == (200, b"ok")
    sent = world.sent
    assert dict(sent.headers) == {
        b"accept": b"text/html",
        b"x-request-id": b"req-1",
        b"x-forwarded-host": b"shop.example",
        b"x-forwarded-proto": b"https",
        b"x-forwarded-for": b"192.0.2.7",
        b"via": b"1.1 wws",
        b"x-user-id": b"u-1",
        b"x-user-role": b"admin",
    }
    assert (sent.target, sent.deadline, sent.timeouts.first_byte) == ("/base/x", 1_300.0, 7.0)


FORGED = {
    "X-User-ID": "admin",
    "X-User-Role": "service_role",
    "X-Forwarded-For": "10.0.0.1",
    "Forwarded": "for=10.0.0.1",
    "X-Real-IP": "10.0.0.1",
    "X-Request-Id": "planted",
    "X-Original-URL": "/admin",
    "X-HTTP-Method-Override": "DELETE",
}


@pytest.mark.parametrize("user", [None, User("u-1")])
async def test_what_a_caller_claims_is_dropped(user: User | None) -> None:
    world = World()
    await world.ask(FORGED, user=user, client="")
    told = dict(world.sent.headers)
    assert told.pop(b"x-request-id") == b"req-1"
    assert told.pop(b"x-user-id", None) == (None if user is None else b"u-1")
    assert told.pop(b"x-user-role", None) == (None if user is None else b"authenticated")
    assert set(told) == {b"x-forwarded-host", b"x-forwarded-proto", b"via"}


async def test_connection_cannot_remove_what_we_say() -> None:
    world = World()
    await world.ask(
        {"connection": "close, x-user-id, X-Mine, authorization", "x-mine": "1", "authorization": "Bearer t"}, user=User("u")
    )
    assert world.sent.header("x-user-id") == "u"
    assert world.sent.header("x-mine") is None
    assert world.sent.header("authorization") == "Bearer t"
    assert world.sent.header("connection") is None


@pytest.mark.parametrize(
    ("conditional", "expected"),
    [
        (None, {b"if-none-match": b'"mine"', b"if-modified-since": DATE.encode(), b"if-match": b'"other"'}),
        ([], {b"if-match": b'"other"'}),
        ([(b"if-none-match", b'"stored"')], {b"if-none-match": b'"stored"', b"if-match": b'"other"'}),
    ],
)
async def test_a_cache_s_validators_replace_the_client_s(conditional: list[Pair] | None, expected: dict[bytes, bytes]) -> None:
    """An empty list too: the cache wants the whole answer, and would take a 304 for the client's copy as its own."""
    world = World()
    await world.ask({"if-none-match": '"mine"', "if-modified-since": DATE, "if-match": '"other"'}, conditional=conditional)
    assert {name: value for name, value in world.sent.headers if name.startswith(b"if-")} == expected


async def test_the_origin_s_date_passes_and_its_connection_fields_do_not() -> None:
    answer = Response(
        b"",
        200,
        Headers([
            ("date", DATE), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("connection", "keep-alive, x-hop"), ("x-hop", "1"),
            ("keep-alive", "timeout=5"), ("x-request-id", "the-origin-s"), ("transfer-encoding", "chunked"), ("server", "node"),
        ]),
    )  # fmt: skip
    response = await World(answer).ask()
    assert response.headers.items() == [("date", DATE), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("server", "node")]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectFailed("refused"), "origin_unreachable"),
        (UpstreamTimeout("connect"), "origin_unreachable"),
        (UpstreamTimeout("first_byte"), "origin_timeout"),
        (UpstreamTimeout("total"), "origin_timeout"),
        (UpstreamCut("reset", answered=False), "origin_unreachable"),
        (UpstreamMalformed("two lengths"), "origin_malformed"),
    ],
)
async def test_each_failure_has_its_code_and_none_its_text(error: UpstreamError, code: str) -> None:
    world = World(error)
    with pytest.raises(Refusal) as raised:
        await world.ask()
    assert raised.value.code == code
    assert str(error) not in raised.value.message
    assert raised.value.row.error_type == "dependency_unavailable"


async def test_the_time_at_the_origin_adds_up_whether_it_answers_or_not() -> None:
    async def slow(sent: Sent) -> Response:
        world.clock.advance(2.0)
        if len(world.dial.calls) == 2:
            raise UpstreamTimeout("idle")
        return Response(b"ok")

    world = World(slow)
    await world.ask()
    with pytest.raises(Refusal, match="origin_timeout"):
        await world.ask()
    assert world.ctx.trail.upstream == 4.0


async def test_without_an_origin_the_path_is_not_found() -> None:
    world = World()
    with pytest.raises(Refusal, match="No \\[origin\\]") as raised:
        await world.ask(route=Route("/*", "origin", target="elsewhere"))
    assert raised.value.code == "not_found"
    assert not world.dial.calls


@pytest.mark.parametrize(("passes", "refused"), [(0, False), (1, False), (2, False), (3, True), (9, True)])
async def test_a_loop_ends(passes: int, refused: bool) -> None:
    world = World()
    fields = Headers([("via", ", ".join(["1.1 proxy", *["1.1 wws"] * passes]))])
    if refused:
        with pytest.raises(Refusal, match="leads back to it"):
            await world.ask(fields)
    else:
        assert (await world.ask(fields)).status == 200


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8))
async def test_a_user_id_that_cannot_stand_in_a_header_goes_nowhere(name: str) -> None:
    world = World()
    if name.isascii() and name.isprintable():
        await world.ask(user=User(name))
        assert world.sent.header("x-user-id") == name
    else:
        with pytest.raises(Refusal, match="internal_error"):
            await world.ask(user=User(name))
        assert not world.dial.calls


@pytest.mark.parametrize(("passes", "refused"), [(2, False), (3, True)])
async def test_a_loop_ends_when_each_pass_adds_a_field_of_its_own(passes: int, refused: bool) -> None:
    """Which is what this gateway does: the fields of a request that came round stand side by side."""
    world = World()
    fields = Headers([("via", "1.1 wws")] * passes)
    if refused:
        with pytest.raises(Refusal, match="leads back to it"):
            await world.ask(fields)
    else:
        await world.ask(fields)
        again = Headers.trusted([(name, value) for name, value in world.sent.headers if name == b"via"])
        assert len(again) == passes + 1
        with pytest.raises(Refusal, match="leads back to it"):
            await world.ask(again)


async def test_fields_of_several_connection_lines_stay_here() -> None:
    world = World()
    await world.ask(Headers([("connection", "x-hop"), ("x-hop", "1"), ("connection", "keep-alive"), ("x-mine", "2")]))
    assert world.sent.header("x-hop") is None and world.sent.header("x-mine") == "2"
