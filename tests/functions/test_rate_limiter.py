from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.services import make_env
from wws.bindings import Env
from wws.core.auth.user import User
from wws.core.limit.decision import Decision
from wws.core.policy import DEFAULT_ROUTES, Limit, Policy, Route
from wws.errors import StoreError
from wws.functions.rate_limiter import LimitResult, address_limiter, blocked, give_back, rate_limiter
from wws.http import Request
from wws.stores.memory import MemoryStore

AI, _, ORIGIN = DEFAULT_ROUTES
ANNA, BEN = User("0190f1b2-aaaa"), User("0190f1b2-bbbb")


def ask(
    path: str = "/api/ai/chat",
    user: User | None = None,
    route: Route | None = AI,
    client: str = "192.0.2.7",
    headers: dict[str, str] | None = None,
) -> Request:
    request = Request("POST", path, headers, client=client)
    request.user, request.route = user, route
    return request


async def admitted(env: Env, request: Request, times: int = 200) -> int:
    results = [await rate_limiter(request, env) for _ in range(times)]
    return sum(result.allowed for result in results)


class Watched(MemoryStore):
    """A store that says what it was asked, and can be made to fail."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.keys: list[str] = []
        self.broken = False

    async def take(self, key: str, limit: int, period: float, cost: int = 1, *args: Any, **rest: Any) -> Decision:
        self.keys.append(key)
        if self.broken:
            raise StoreError("gone")
        return await super().take(key, limit, period, cost, *args, **rest)

    async def give(self, key: str, limit: int, period: float, cost: int = 1, *args: Any, **rest: Any) -> None:
        if self.broken:
            raise StoreError("gone")
        await super().give(key, limit, period, cost, *args, **rest)


@pytest.fixture
def store(clock: FakeClock) -> Watched:
    return Watched(clock)


@pytest.fixture
def env(clock: FakeClock, store: Watched) -> Env:
    return make_env(clock=clock, counter=store, kv=store)


class TestWhichLimit:
    @pytest.mark.parametrize(
        ("path", "route", "count", "endpoint"),
        [
            ("/api/ai/chat", AI, 60, "/api/ai/chat"),
            ("/api/ai/generate", AI, 20, "/api/ai/generate"),
            ("/api/ai/other", AI, 100, "/api/ai/*"),
            ("/shop", ORIGIN, 100, "/*"),
            ("/shop", None, 100, "default"),
            ("/api/ai/chat", None, 60, "/api/ai/chat"),
            ("/x", Route("/x", "ai", limit=Limit(7, 60.0, endpoint="/x")), 7, "/x"),
            ("/api/ai/chat", Route("/api/ai/chat", "ai", limit=Limit(7, 60.0)), 7, "/api/ai/chat"),
            ("/x", Route("/x", "ai", methods=("POST",), limit=Limit(7, 60.0)), 7, "POST /x"),
        ],
    )
    async def test_of_the_defaults(self, env: Env, path: str, route: Route | None, count: int, endpoint: str) -> None:
        result = await rate_limiter(ask(path, ANNA, route), env)
        assert result.rule is not None
        assert (result.rule.count, result.rule.endpoint, result.remaining) == (count, endpoint, count - 1)

    async def test_the_most_specific_pattern(self, clock: FakeClock) -> None:
        limits = {"/*": Limit(1, 60.0), "/a/:id": Limit(2, 60.0), "/a/b": Limit(3, 60.0), "default": Limit(9, 60.0)}
        env = make_env(Policy(limits=limits), clock)
        counts = {"/a/b": 3, "/a/x": 2, "/a/x/y": 1}
        for path, count in counts.items():
            assert await admitted(env, ask(path, ANNA), 10) == count

    async def test_an_unlimited_route(self, env: Env, store: Watched) -> None:
        result = await rate_limiter(ask("/api/ai/chat", ANNA, Route("/api/ai/chat", "ai", unlimited=True)), env)
        assert result == LimitResult(True, None, 0.0, None, None)
        assert store.keys == []

    async def test_no_limit_at_all(self, clock: FakeClock) -> None:
        env = make_env(Policy(limits={}, address_limit=None), clock)
        assert (await rate_limiter(ask(), env)).rule is None
        assert (await address_limiter(ask(), env)).rule is None
        assert blocked(ask(), env) is None

    async def test_two_routes_are_counted_apart(self, env: Env) -> None:
        one, two = Route("/one", "origin"), Route("/two", "origin")
        assert await admitted(env, ask("/one", ANNA, one)) == 100
        assert await admitted(env, ask("/two", ANNA, two)) == 100

    async def test_two_methods_of_one_path_are_counted_apart(self, env: Env) -> None:
        read = Route("/x", "origin", methods=("GET",), limit=Limit(50, 60.0))
        write = Route("/x", "origin", methods=("POST",), limit=Limit(5, 60.0))
        assert await admitted(env, ask("/x", ANNA, read)) == 50
        assert await admitted(env, ask("/x", ANNA, write)) == 5

    async def test_all_paths_of_a_route_are_counted_together(self, env: Env) -> None:
        for n in range(100):
            assert (await rate_limiter(ask(f"/page/{n}", ANNA, ORIGIN), env)).allowed
        assert not (await rate_limiter(ask("/page/new", ANNA, ORIGIN), env)).allowed

    async def test_a_new_policy_is_followed_at_once(self, env: Env) -> None:
        assert await admitted(env, ask(user=ANNA)) == 60
        assert blocked(ask(user=ANNA), env) is not None
        env.wws.policy = Policy(limits={"/api/ai/chat": Limit(80, 60.0)})
        assert await admitted(env, ask(user=ANNA)) == 20

    async def test_routes_made_for_one_request_are_not_kept_for_ever(self, env: Env) -> None:
        for n in range(3000):
            await rate_limiter(ask(f"/{n}", ANNA, Route(f"/{n}", "origin")), env)
        assert len(env.wws.state["rate_limiter"].resolver.routes) <= 1024


class TestWhoseCount:
    async def test_each_user_has_their_own(self, env: Env) -> None:
        assert await admitted(env, ask(user=ANNA)) == 60
        assert await admitted(env, ask(user=BEN)) == 60
        assert await admitted(env, ask()) == 60

    async def test_headers_and_addresses_do_not_move_a_user(self, env: Env) -> None:
        count = 0
        for n in range(200):
            claims = {"x-user-id": str(n), "x-forwarded-for": f"10.0.0.{n}", "x-api-key": str(n), "authorization": f"Bearer {n}"}
            count += (await rate_limiter(ask(user=ANNA, client=f"10.0.0.{n}", headers=claims), env)).allowed
        assert count == 60

    async def test_headers_do_not_move_an_address(self, env: Env) -> None:
        count = 0
        for n in range(200):
            claims = {"x-user-id": str(n), "x-forwarded-for": f"10.0.0.{n}"}
            count += (await rate_limiter(ask(headers=claims), env)).allowed
        assert count == 60

    async def test_an_ipv6_network_is_one_client(self, env: Env) -> None:
        count = 0
        for n in range(200):
            count += (await rate_limiter(ask(client=f"2001:db8::{n:x}"), env)).allowed
        assert count == 60
        assert (await rate_limiter(ask(client="2001:db8:0:1::1"), env)).allowed

    async def test_clients_without_an_address_share_one(self, env: Env) -> None:
        assert await admitted(env, ask(client="")) == 60
        assert not (await rate_limiter(ask(client="unix"), env)).allowed

    async def test_keys(self, env: Env, store: Watched) -> None:
        await rate_limiter(ask(user=User("key:n8n")), env)
        await rate_limiter(ask(client="::ffff:192.0.2.7"), env)
        await rate_limiter(ask("/x", ANNA, None), env)
        await address_limiter(ask(), env)
        assert store.keys == [
            "v1:rate:u.key%3An8n:/api/ai/chat",
            "v1:rate:a.192.0.2.7:/api/ai/chat",
            "v1:rate:u.0190f1b2-aaaa:default",
            "v1:rate:a.192.0.2.7:address",
        ]


class TestCounting:
    async def test_a_hundred_at_once(self, clock: FakeClock) -> None:
        env = make_env(Policy(limits={"default": Limit(5, 60.0)}), clock)
        results = await asyncio.gather(*(rate_limiter(ask(user=ANNA), env) for _ in range(100)))
        assert sum(result.allowed for result in results) == 5

    @pytest.mark.parametrize("burst", [None, 5])
    async def test_waiting_as_told_works(self, clock: FakeClock, burst: int | None) -> None:
        env = make_env(Policy(limits={"default": Limit(5, 60.0, burst)}), clock)
        for _ in range(4):
            clock.advance(0.1)
            while (result := await rate_limiter(ask(user=ANNA), env)).allowed:
                assert result.retry_after == 0.0
            assert result.remaining == 0 and result.retry_after > 0 and result.decision is not None
            clock.advance(result.retry_after)
            assert (await rate_limiter(ask(user=ANNA), env)).allowed

    async def test_hammering_moves_nothing_and_asks_no_store(self, env: Env, store: Watched, clock: FakeClock) -> None:
        assert await admitted(env, ask(user=ANNA), 61) == 60
        asked = len(store.keys)
        due = set()
        for _ in range(100):
            result = await rate_limiter(ask(user=ANNA), env)
            assert not result.allowed and result.decision is not None
            assert result.decision.reset_after >= result.retry_after == result.decision.retry_after
            due.add(round(clock.monotonic() + result.retry_after, 3))
            clock.advance(0.5)
        assert len(due) == 1 and len(store.keys) == asked

    async def test_constant_traffic_below_the_limit_is_never_refused(self, env: Env, clock: FakeClock) -> None:
        for _ in range(120):
            assert (await rate_limiter(ask(user=ANNA), env)).allowed
            clock.advance(30.0)

    async def test_a_clock_put_back_frees_nobody(self, env: Env, clock: FakeClock) -> None:
        assert await admitted(env, ask(user=ANNA)) == 60
        clock.step(-3600.0)
        assert await admitted(env, ask(user=ANNA)) == 0

    async def test_giving_back(self, env: Env, clock: FakeClock) -> None:
        results = [await rate_limiter(ask(user=ANNA), env) for _ in range(61)]
        clock.advance(5.0)
        for result in results:
            await give_back(result, env)
        assert await admitted(env, ask(user=ANNA)) == 60, "the refused one was not counted and gives nothing back"

    async def test_nothing_to_give_back(self, clock: FakeClock) -> None:
        env = make_env(Policy(limits={}), clock)
        result = await rate_limiter(ask(), env)
        await give_back(result, env)
        assert result.allowed and (await rate_limiter(ask(), env)).allowed

    async def test_what_has_left_the_window_is_not_given_back(self, env: Env, clock: FakeClock) -> None:
        first = await rate_limiter(ask(user=ANNA), env)
        clock.advance(200.0)
        assert await admitted(env, ask(user=ANNA)) == 60
        await give_back(first, env)
        assert await admitted(env, ask(user=ANNA)) == 0


class TestAddress:
    async def test_counts_by_address_alone(self, env: Env) -> None:
        results = [await address_limiter(ask(f"/{n}", User(str(n))), env) for n in range(700)]
        assert sum(result.allowed for result in results) == 600
        assert results[0].rule == Policy().address_limit
        assert (await address_limiter(ask(client="192.0.2.8"), env)).allowed

    async def test_a_cost(self, env: Env, clock: FakeClock) -> None:
        assert (await address_limiter(ask(), env, cost=599)).remaining == 1
        assert not (await address_limiter(ask(), env, cost=2)).allowed
        assert (await address_limiter(ask(), env)).allowed, "that two are too many says nothing of one"
        clock.advance(100.0)
        assert (await address_limiter(ask(), env, cost=10_000)).remaining == 0, "all there is"

    async def test_a_cost_under_a_burst(self, clock: FakeClock) -> None:
        env = make_env(Policy(address_limit=Limit(600, 60.0, 10)), clock)
        assert (await address_limiter(ask(), env, cost=50)).allowed


class TestBlocked:
    async def test_knows_an_address(self, env: Env, store: Watched, clock: FakeClock) -> None:
        assert blocked(ask(route=None), env) is None
        results = [await address_limiter(ask(), env) for _ in range(601)]
        asked = len(store.keys)
        known = blocked(ask(route=None), env)
        assert known is not None and not known.allowed
        assert known.retry_after == pytest.approx(results[-1].retry_after)
        assert blocked(ask(route=None, client="192.0.2.8"), env) is None
        clock.advance(known.retry_after)
        assert blocked(ask(route=None), env) is None
        assert (await address_limiter(ask(), env)).allowed
        assert len(store.keys) == asked + 1

    async def test_knows_a_subject(self, env: Env) -> None:
        assert await admitted(env, ask(user=ANNA)) == 60
        known = blocked(ask(user=ANNA), env)
        assert known is not None and known.rule is not None and known.rule.endpoint == "/api/ai/chat"
        assert blocked(ask(user=BEN), env) is None
        assert blocked(ask("/api/ai/generate", ANNA), env) is None
        assert blocked(ask("/x", ANNA, Route("/x", "ai", unlimited=True)), env) is None

    async def test_anonymous_callers_do_not_block_a_user_behind_their_address(self, env: Env) -> None:
        assert await admitted(env, ask()) == 60
        assert blocked(ask(), env) is None, "the user is not known yet"
        assert not (await rate_limiter(ask(), env)).allowed
        assert (await rate_limiter(ask(user=ANNA), env)).allowed

    async def test_never_admits(self, env: Env, store: Watched) -> None:
        """Forgetting who is refused leaves the store's word, which is the same."""
        assert await admitted(env, ask(user=ANNA)) == 60
        env.wws.state["rate_limiter"].blocked.clear()
        assert not (await rate_limiter(ask(user=ANNA), env)).allowed

    async def test_is_bounded(self, clock: FakeClock) -> None:
        env = make_env(Policy(limits={"default": Limit(1, 60.0)}), clock)
        for n in range(10_050):
            await admitted(env, ask(user=User(str(n)), route=None), 2)
        assert len(env.wws.state["rate_limiter"].blocked) == 10_000
        assert blocked(ask(user=User("10049"), route=None), env) is not None
        assert blocked(ask(user=User("0"), route=None), env) is None


class TestStoreFails:
    async def test_counts_in_this_process_and_says_so(self, env: Env, store: Watched) -> None:
        store.broken = True
        results = [await rate_limiter(ask(user=ANNA), env) for _ in range(100)]
        assert sum(result.allowed for result in results) == 60
        assert {result.degraded for result in results} == {("limit",)}
        assert {result.decision for result in results} == {None}
        assert results[0].remaining == 59 and results[-1].retry_after > 0

    async def test_waiting_as_told_works(self, env: Env, store: Watched, clock: FakeClock) -> None:
        store.broken = True
        results = [await rate_limiter(ask(user=ANNA), env) for _ in range(61)]
        clock.advance(results[-1].retry_after)
        assert (await rate_limiter(ask(user=ANNA), env)).allowed

    async def test_the_address_too(self, env: Env, store: Watched) -> None:
        store.broken = True
        results = [await address_limiter(ask(), env) for _ in range(700)]
        assert sum(result.allowed for result in results) == 600

    async def test_recovers_without_a_restart(self, env: Env, store: Watched) -> None:
        store.broken = True
        assert await admitted(env, ask(user=ANNA)) == 60
        store.broken = False
        result = await rate_limiter(ask(user=ANNA), env)
        assert result.allowed and result.degraded == () and result.decision is not None

    async def test_giving_back(self, env: Env, store: Watched) -> None:
        counted = await rate_limiter(ask(user=ANNA), env)
        store.broken = True
        await give_back(counted, env)
        results = [await rate_limiter(ask(user=BEN), env) for _ in range(60)]
        await give_back(results[0], env)
        assert await admitted(env, ask(user=BEN)) == 1

    async def test_errors_that_are_no_failures_of_the_store_are_seen(self, env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
        async def bug(*args: object, **rest: object) -> Decision:
            raise RuntimeError("a bug")

        monkeypatch.setattr(env.wws.counter, "take", bug)
        with pytest.raises(RuntimeError):
            await rate_limiter(ask(), env)


class Nearly:
    """A limiter of a platform's own. It allows the first of each key."""

    consistency = "approximate"

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, float]] = []
        self.broken = False

    async def allow(self, key: str, limit: int, period: float) -> bool:
        if self.broken:
            raise StoreError("gone")
        self.asked.append((key, limit, period))
        return len(self.asked) == 1


async def test_an_approximate_limit_is_counted_by_the_platform(clock: FakeClock) -> None:
    store, nearly = Watched(clock), Nearly()
    policy = Policy(limits={"default": Limit(5, 60.0, approximate=True)}, routes=(AI,))
    env = make_env(policy=policy, kv=store, counter=store, clock=clock)
    env.wws.approximate = nearly
    first, second = [await rate_limiter(ask(user=ANNA), env) for _ in range(2)]
    assert (first.allowed, first.remaining, first.retry_after, first.decision) == (True, None, 0.0, None)
    assert (second.allowed, second.retry_after, second.decision) == (False, 60.0, None)
    assert nearly.asked == [(first.key, 5, 60.0)] * 2
    await give_back(first, env)
    assert not store.keys
    nearly.broken = True
    assert [(result.allowed, result.degraded) for result in [await rate_limiter(ask(user=BEN), env)]] == [(True, ("limit",))]


async def test_where_the_platform_has_no_limiter_an_approximate_limit_is_exact(clock: FakeClock) -> None:
    store = Watched(clock)
    policy = Policy(limits={"default": Limit(5, 60.0, approximate=True)}, routes=(AI,))
    env = make_env(policy=policy, kv=store, counter=store, clock=clock)
    assert await admitted(env, ask(user=ANNA)) == 5
