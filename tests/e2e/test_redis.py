"""Gateways that share a Redis: one limit, one session, one revocation; and what each feature does while it does not answer."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import pytest

from tests.e2e.ask import Answer, ask
from tests.e2e.conftest import Start
from tests.e2e.crowd import CROWD, crowd
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until
from tests.e2e.projects import project
from tests.e2e.steady import Asked, Steady
from tests.support.redis import RedisServer, make_cluster, require_redis
from tests.support.slow import SlowProxy
from wws.core.auth.apikey import make_key

PEPPER = {"WWS_PEPPER": "planted-pepper-of-the-tests-0123"}
PATIENT = 'timeout = "10s"  # many processes share few cores here: counting is what is tested, not speed'


@pytest.fixture(scope="module")
def _redis() -> Iterator[RedisServer]:
    require_redis()
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(_redis: RedisServer) -> RedisServer:
    _redis.call("FLUSHALL")
    return _redis


def on(around: Neighbours, address: str, kv: str = "") -> str:
    """The project on a store at `address`."""
    return project(around).replace('store = "lmdb:./state"', f'store = "{address}"\n{kv}')


def create_key(gateway: Gateway) -> dict[str, object]:
    """A new API key, made as an operator does beside the running gateway."""
    ran = gateway.run("keys", "create", "--name", "test", "--json", env=PEPPER)
    assert ran.status == 0, ran.out
    made: dict[str, object] = json.loads(ran.out)
    return made


def refused(gateway: Gateway, token: str) -> bool:
    """Whether a credential is not good any more."""
    return ask(gateway.url, "/private/page", token=token).status == 401


class TestTogether:
    def test_two_gateways_count_together(self, start: Start, around: Neighbours, redis: RedisServer, token: str) -> None:
        urls = [start(on(around, redis.address, PATIENT), PEPPER).url for _ in range(2)]
        other = around.supabase.mint("HS256")
        assert crowd(urls, "/five/things", [token, other]) == [{200: 5, 429: CROWD - 5}] * 2

    def test_on_a_cluster_too(self, start: Start, around: Neighbours) -> None:
        require_redis()
        with make_cluster() as servers:
            address = f"redis+cluster://127.0.0.1:{servers[0].port}"
            urls = [start(on(around, address, PATIENT), PEPPER).url for _ in range(2)]
            users = [around.supabase.mint() for _ in range(3)]
            assert crowd(urls, "/five/things", users) == [{200: 5, 429: CROWD - 5}] * 3

    def test_several_workers_count_together(self, start: Start, around: Neighbours, redis: RedisServer, token: str) -> None:
        toml = on(around, redis.address, PATIENT).replace("[server]\n", "[server]\nworkers = 2\n")
        assert crowd([start(toml, PEPPER).url], "/five/things", [token]) == [{200: 5, 429: CROWD - 5}]

    def test_a_session_that_one_knows_is_known_to_all(self, start: Start, around: Neighbours, redis: RedisServer) -> None:
        toml = on(around, redis.address, PATIENT).replace('recheck_after = "1s"', 'recheck_after = "1h"')
        token = around.supabase.mint("HS256")
        for gateway in (start(toml, PEPPER), start(toml, PEPPER)):
            assert ask(gateway.url, "/private/page", token=token).status == 200
        assert around.supabase.calls["user"] == 1

    def test_a_revocation_counts_at_once_everywhere(self, start: Start, around: Neighbours, redis: RedisServer) -> None:
        toml = on(around, redis.address, PATIENT)
        gateways = [start(toml, PEPPER) for _ in range(2)]
        key = create_key(gateways[1])
        token = around.supabase.mint(session_id="3d7e5c9a-1111-4222-8333-444455556666")
        for gateway in gateways:
            for _ in range(3):
                assert ask(gateway.url, "/private/page", token=str(key["key"])).status == 200
                assert ask(gateway.url, "/private/page", token=token).status == 200
        assert gateways[0].run("keys", "revoke", str(key["id"]), env=PEPPER).status == 0
        session = ("--session", "3d7e5c9a-1111-4222-8333-444455556666")
        assert gateways[0].run("sessions", "purge", *session, env=PEPPER).status == 0
        for gateway in gateways:
            until(partial(refused, gateway, str(key["key"])), "the revocation", 2.0)
            until(partial(refused, gateway, token), "the purge", 2.0)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_what_changes_at_one_no_other_serves_from_its_memory(
        self, start: Start, around: Neighbours, redis: RedisServer, token: str, workers: int
    ) -> None:
        toml = on(around, redis.address, PATIENT).replace("[server]\n", f"[server]\nworkers = {workers}\n")
        gateways = [start(toml, PEPPER) for _ in range(2)]

        def page(gateway: Gateway, method: str = "GET") -> tuple[str | None, int]:
            answer = ask(gateway.url, "/mine/page", method, token=token, headers={"Host": "shop.example"})
            assert answer.status == 200, answer.body
            return answer.headers.get("x-wws-cache"), answer.json["number"]

        for one, other in (gateways, gateways[::-1]):
            until(lambda g=other: all(page(g)[0] == "HIT" for _ in range(6)), "the page in every memory")  # type: ignore[misc]
            _, changed = page(one, "POST")
            until(lambda g=other, c=changed: all(page(g)[1] > c for _ in range(6)), "the new page", 2.0)  # type: ignore[misc]

    def test_without_a_pepper_it_does_not_start(self, start: Start, around: Neighbours, redis: RedisServer) -> None:
        with pytest.raises(AssertionError, match="WWS_PEPPER: not set: a store shared by several machines needs the same one"):
            start(on(around, redis.address))

    def test_a_password_is_told_to_nobody(self, start: Start, around: Neighbours) -> None:
        require_redis()
        with RedisServer("--requirepass", "planted-password") as server:
            wrong = start(on(around, f"redis://:planted-mistake@127.0.0.1:{server.port}"), PEPPER)
            assert ask(wrong.url, "/readyz").json["degraded"] == ["auth", "cache", "limit"]
            until(lambda: "the greeting was refused" in wrong.stderr, "the reason")
            right = start(on(around, f"redis://:planted-password@127.0.0.1:{server.port}"), PEPPER)
            assert ask(right.url, "/readyz").json["degraded"] == []
            for gateway in (wrong, right):
                seen = gateway.stderr + gateway.stdout + ask(gateway.admin_url, "/metrics").body.decode()
                assert "planted-password" not in seen and "planted-mistake" not in seen
                assert "planted" not in gateway.run("check").out


class Trouble(NamedTuple):
    """How a server is brought into trouble, and out of it."""

    begin: Callable[[RedisServer, SlowProxy], object]
    end: Callable[[RedisServer, SlowProxy], object]
    by_proxy: bool = False


def _delay(seconds: float) -> Callable[[RedisServer, SlowProxy], object]:
    return lambda server, proxy: setattr(proxy, "delay", seconds)


TROUBLES = {
    "stopped": Trouble(lambda server, proxy: server.stop(), lambda server, proxy: server.start()),
    "frozen": Trouble(lambda server, proxy: server.signal(signal.SIGSTOP), lambda server, proxy: server.signal(signal.SIGCONT)),
    "slow": Trouble(_delay(0.2), _delay(0.0), by_proxy=True),
}
LIMITED = '\n[[routes]]\npath = "/costly/*"\nto = "origin"\nauth = "required"\nlimit = "20/hour"\n'


class World:
    """A gateway on a Redis in trouble, with callers who ask all the time."""

    def __init__(self, stack: ExitStack, start: Start, around: Neighbours, trouble: str, kv: str = "") -> None:
        self.trouble = TROUBLES[trouble]
        self.around = around
        self.server = stack.enter_context(RedisServer())
        self.proxy = stack.enter_context(SlowProxy(self.server.port))
        port = self.proxy.port if self.trouble.by_proxy else self.server.port
        toml = on(around, f"redis://127.0.0.1:{port}", kv).replace('recheck_after = "1s"', 'recheck_after = "1h"') + LIMITED
        self.gateway: Gateway = start(toml.replace('default = "1000/min"', 'default = "1000000/min"'), PEPPER)
        self.key = str(create_key(self.gateway)["key"])
        self.users = [around.supabase.mint(alg) for alg in ("ES256", "HS256", "ES256")]
        stack.callback(self.end)
        self.load = stack.enter_context(Steady(self.gateway.url, "/private/page", [self.key, *self.users]))
        until(lambda: len(self.load.asked) > 100, "the load")

    def degraded(self) -> list[str]:
        told: list[str] = ask(self.gateway.url, "/readyz").json["degraded"]
        return told

    def begin(self) -> None:
        """Trouble begins."""
        self.began = time.monotonic()
        self.trouble.begin(self.server, self.proxy)

    def end(self) -> None:
        """It is over; a second time nothing happens."""
        trouble, self.trouble = self.trouble, Trouble(_delay(0.0), _delay(0.0))
        trouble.end(self.server, self.proxy)
        self.ended = time.monotonic()

    def ask(self, target: str, token: str) -> Answer:
        return ask(self.gateway.url, target, token=token)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_policy_while_redis_is_in_trouble(trouble: str, start: Start, around: Neighbours) -> None:
    require_redis()
    with ExitStack() as stack:
        world = World(stack, start, around, trouble, "instances = 2")
        world.begin()
        until(lambda: world.degraded() == ["auth", "cache", "limit"], "the state in /readyz")

        # Who is known is served; who is not is told to come again, and never that the credential is bad.
        assert world.ask("/private/page", world.key).status == 200
        for unknown in (around.supabase.mint(), around.supabase.mint("HS256"), make_key(b"0" * 8, b"0" * 24)[1]):
            answer = world.ask("/private/page", unknown)
            assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
            assert int(answer.headers["retry-after"]) >= 1

        # A costly route stays bounded: of 20 an hour, this one of two gateways admits its half.
        costly = [world.ask("/costly/thing", world.key) for _ in range(30)]
        assert [answer.status for answer in costly].count(200) == 10
        assert {answer.status for answer in costly} == {200, 429}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in costly if answer.status == 429)
        assert costly[0].headers["x-wws-degraded"] == "limit" and "ratelimit" not in costly[0].headers

        # A page that may be cached is served without its store.
        assert world.ask("/page", world.key).status == 200

        metrics = ask(world.gateway.admin_url, "/metrics").body.decode()
        assert "wws_store_up 0.0" in metrics and "wws_limit_degraded_total" in metrics

        world.end()
        until(lambda: world.degraded() == [], "the store again", 15.0)
        until(lambda: "x-wws-degraded" not in world.ask("/private/page", world.key).headers, "counting in the store again")
        assert world.ask("/private/page", around.supabase.mint()).status == 200

    # Nobody who was known noticed anything but a moment, in which the budget ran out.
    assert {one.status for one in world.load.asked} == {200}
    assert max(one.seconds for one in world.load.asked) < 5.0
    assert any(one.degraded == "limit" for one in world.load.since(world.began, world.ended))
    lines = [line for line in world.gateway.stderr.splitlines() if "wws.store" in line]
    assert len(lines) == 2, lines
    assert "the store fails" in lines[0] and "answers again" in lines[1]


def test_a_gateway_starts_without_its_redis(start: Start, around: Neighbours) -> None:
    require_redis()
    with RedisServer() as server:
        server.stop()
        gateway = start(on(around, server.address), PEPPER)
        assert ask(gateway.url, "/healthz").status == 200
        assert ask(gateway.url, "/readyz").status == 200
        assert ask(gateway.url, "/private/page", token=around.supabase.mint()).status == 503
        assert ask(gateway.url, "/private/page").status == 401
        server.start()
        until(lambda: ask(gateway.url, "/private/page", token=around.supabase.mint()).status == 200, "the first user", 15.0)


def table(rows: dict[str, list[Asked]]) -> str:
    """Figures of some phases, as a table."""
    lines = ["| | requests | not 200 | p50 ms | p99 ms | max ms |", "|---|---|---|---|---|---|"]
    for name, asked in rows.items():
        taken = sorted(one.seconds * 1000 for one in asked)
        bad = sum(one.status != 200 for one in asked)
        figures = [taken[len(taken) // 2], taken[int(len(taken) * 0.99)], taken[-1]]
        lines.append(f"| {name} | {len(asked)} | {bad} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |")
    return "\n".join(lines)


@pytest.mark.scale
@pytest.mark.timeout(300)
def test_figures_of_redis_in_trouble(start: Start, around: Neighbours, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten seconds of each trouble under load."""
    require_redis()
    rows: dict[str, list[Asked]] = {}
    back: dict[str, float] = {}
    for trouble in TROUBLES:
        with ExitStack() as stack:
            world = World(stack, start, around, trouble)
            began = time.monotonic()
            time.sleep(3.0)
            world.begin()
            time.sleep(10.0)
            world.end()
            until(lambda: world.degraded() == [], "the store again", 15.0)  # noqa: B023 - called within the round
            back[trouble] = time.monotonic() - world.ended
            time.sleep(2.0)
        rows[f"{trouble}: before"] = world.load.since(began, world.began)
        rows[f"{trouble}: first second"] = world.load.since(world.began, world.began + 1.0)
        rows[f"{trouble}: after it"] = world.load.since(world.began + 1.0, world.ended)
        assert {one.status for one in world.load.asked} == {200}
        later = sorted(one.seconds for one in world.load.since(world.began + 1.0, world.ended))
        assert later[int(len(later) * 0.99)] < 0.5
        assert back[trouble] < 10.0
    with capsys.disabled():
        seconds = ", ".join(f"{trouble} {took:.1f} s" for trouble, took in back.items())
        print(f"\n{table(rows)}\n\nin use again after: {seconds}")  # noqa: T201 - the figures are what this is for
