"""Every request gets an id, a deadline and a trail of its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from tests.support.services import Background, make_env
from wws.bindings import Context, Env
from wws.core.policy import Policy, Timeouts
from wws.gateway import Gateway
from wws.hosts.server.application import Application
from wws.http import Headers, Request, Response


class Seen(Gateway):
    """A gateway that keeps the contexts it is given."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        self.contexts: list[Context] = []

    async def handle(self, request: Request, env: Env, ctx: Context) -> Response:
        self.contexts.append(ctx)
        return Response(ctx.request_id)


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.background = Background()
        self.env = make_env(Policy(timeouts=Timeouts(total=300.0)), self.clock, background=self.background)
        self.gateway = Seen(self.env)
        self.app = Application(self.gateway, self.env, self.background, "abc0123456")

    async def ask(self, headers: dict[str, str] | Headers | None = None) -> Context:
        await self.app(Request("GET", "/", headers))
        return self.gateway.contexts[-1]


async def test_ids_are_of_this_process_and_never_twice() -> None:
    world = World()
    ids = [(await world.ask()).request_id for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(name.startswith("abc0123456") and len(name) == 18 for name in ids)
    assert ids == sorted(ids)


@pytest.mark.parametrize("given_id", ["a", "0f8fad5b-d9cb-469f-a165-70867728950e", "A.b_c-9", "x" * 128])
async def test_a_caller_s_id_is_used_where_it_is_safe(given_id: str) -> None:
    assert (await World().ask({"X-Request-Id": given_id})).request_id == given_id


@pytest.mark.parametrize("given_id", ["", "a b", "a\tb", "x" * 129, 'a"b', "a,b", "é", "a/b", "<script>"])
async def test_and_another_is_made_where_it_is_not(given_id: str) -> None:
    assert (await World().ask({"X-Request-Id": given_id})).request_id.startswith("abc0123456")


@given(st.binary(max_size=140))
async def test_no_id_can_break_a_header_or_a_log_line(value: bytes) -> None:
    name = (await World().ask(Headers.trusted([(b"x-request-id", value)]))).request_id
    assert name.isascii()
    assert not set(name) & set(' "\\\r\n\t,;<>')
    assert 0 < len(name) <= 128


async def test_time_is_counted_from_the_request() -> None:
    world = World()
    first = await world.ask()
    world.clock.advance(5.0)
    second = await world.ask()
    assert (second.trail.started - first.trail.started, second.deadline - first.deadline) == (5.0, 5.0)
    assert first.deadline - first.trail.started == 300.0
    assert first.trail is not second.trail
    first.trail.attempts.append(None)  # type: ignore[arg-type]  # anything
    assert second.trail.attempts == []


async def test_work_behind_the_answer_goes_to_the_host() -> None:
    world = World()
    done: list[Any] = []

    async def work() -> None:
        done.append(1)

    (await world.ask()).wait_until(work())
    await world.background.drain()
    assert done == [1]
