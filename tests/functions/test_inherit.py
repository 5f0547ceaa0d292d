"""What a reload keeps of what was learned."""

from __future__ import annotations

from dataclasses import replace

from tests.functions.ai_world import World
from tests.functions.auth_world import World as AuthWorld
from tests.functions.auth_world import code
from tests.support.clock import FakeClock
from tests.support.services import make_env
from tests.support.supabase import Supabase
from wws.bindings import Env
from wws.core.policy import Attempts, ModelRef, Policy
from wws.core.resilience.breaker import CLOSED, OPEN
from wws.functions.inherit import inherit
from wws.functions.upstreams import upstreams_of
from wws.providers import make_providers

ONE, TWO = ModelRef("one", "m"), ModelRef("two", "m")


def after(world: World, policy: Policy) -> Env:
    """The world's env under another policy, taken over from the first."""
    env = make_env(policy, world.clock, providers=make_providers(policy, world.clock))
    inherit(env, world.env)
    return env


async def test_routes_to_unchanged_providers_keep_their_breakers_places_and_quotas() -> None:
    world = World(concurrency=2)
    before = upstreams_of(world.env)
    now = world.clock.monotonic()
    for ref in (ONE, TWO):
        route = before.of(ref)
        for _ in range(5):
            route.failed(now, "provider_server_error", None, 0.0)
        assert route.gate is not None and route.gate.enter()
        assert route.account.quota.shut(now + 60.0, "provider_quota")
        route.plain_only = True
    one = replace(world.policy.providers["one"], api_key="sk-another")
    found = upstreams_of(after(world, replace(world.policy, providers={**world.policy.providers, "one": one})))
    kept, fresh = found.of(TWO), found.of(ONE)
    assert (kept.breaker.state, kept.account.quota.state, kept.plain_only) == (OPEN, OPEN, True)
    assert kept.breaker is before.of(TWO).breaker and kept.gate is before.of(TWO).gate
    assert kept.gate is not None and kept.gate.in_use == 1
    assert (fresh.breaker.state, fresh.account.quota.state, fresh.plain_only) == (CLOSED, CLOSED, False)
    assert fresh.gate is not None and fresh.gate.in_use == 0


async def test_timers_are_those_of_the_new_configuration_and_budgets_too() -> None:
    world = World()
    before = upstreams_of(world.env).of(ONE)
    timeouts = replace(world.policy.timeouts, idle=1.0)
    slower = replace(world.policy, model_timeouts={"one/m": timeouts}, attempts=Attempts(retry_floor=9))
    found = upstreams_of(after(world, slower)).of(ONE)
    assert found.timeouts.idle == 1.0
    assert found.account.budget is not before.account.budget
    assert upstreams_of(after(world, world.policy)).of(ONE).account.budget is before.account.budget


async def test_a_provider_that_is_gone_is_forgotten() -> None:
    world = World()
    upstreams_of(world.env).of(ONE)
    without = {name: config for name, config in world.policy.providers.items() if name != "one"}
    assert upstreams_of(after(world, replace(world.policy, providers=without))).count == 0


async def test_the_auth_server_s_keys_survive_its_absence() -> None:
    async with Supabase(FakeClock()) as supabase:
        world = AuthWorld(supabase, FakeClock())
        assert code(await world.ask(supabase.mint("ES256"))) == "jwks"
        supabase.mode = "down"
        first, policy = world.env, world.env.wws.policy
        parts = {"dial": world.dial, "crypto": first.wws.crypto, "background": world.background, "kv": world.kv}
        world.env = make_env(replace(policy, name="other"), world.clock, **parts)
        inherit(world.env, first)
        assert code(await world.ask(supabase.mint("ES256"))) == "jwks"  # somebody new, and nobody to give the key
        world.env = make_env(replace(policy, auth=replace(policy.auth, leeway=1.0)), world.clock, **parts)
        inherit(world.env, first)
        assert code(await world.ask(supabase.mint("ES256"))) == "503 auth_unavailable"  # other rules: all is asked anew
