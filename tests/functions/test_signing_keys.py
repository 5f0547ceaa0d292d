"""The set of signing keys in hand: loads that overlap, fail slowly or are overtaken by a purge."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.dial import ScriptedDial, Sent, json_answer
from tests.support.services import make_env
from tests.support.supabase import public_jwk
from wws.core.auth.jwks import Key
from wws.errors import UpstreamTimeout
from wws.functions.auth_server import AuthServer
from wws.functions.signing_keys import RELOAD_KEY, NoKey, SigningKeys
from wws.http import Response

TARGET = "/auth/v1/.well-known/jwks.json"
REFUSED = NoKey()


class Keys:
    """Signing keys over a scripted dial; `publish` says what the next load brings."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.dial = ScriptedDial()
        self.env = make_env(clock=clock, dial=self.dial)
        wws = self.env.wws
        self.keys = SigningKeys(wws, AuthServer(wws, wws.policy.auth, "https://project.supabase.co"))

    def publish(self, *kids: str) -> Response:
        answer = json_answer({"keys": [public_jwk("ES256", kid) for kid in kids]})
        self.dial.on("GET", TARGET, answer)
        return answer

    def held(self, *kids: str) -> asyncio.Event:
        """As `publish`, with the answer held back until the event is set."""
        gate, answer = asyncio.Event(), self.publish(*kids)

        async def wait(sent: Sent) -> Response:
            await gate.wait()
            return answer

        self.dial.on("GET", TARGET, wait)
        return gate

    async def find(self, kid: str) -> str | NoKey:
        found = await self.keys.find("ES256", kid)
        return f"{found.alg} {found.kid}" if isinstance(found, Key) else found

    @property
    def loads(self) -> int:
        return len(self.dial.calls)


@pytest.fixture
def keys(clock: FakeClock) -> Keys:
    return Keys(clock)


async def started(*awaitables: Any) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_a_request_with_a_new_kid_joins_the_load_in_progress(keys: Keys) -> None:
    keys.publish("a")
    assert await keys.find("a") == "ES256 a"
    keys.clock.advance(30)
    gate = keys.held("a", "b")
    tasks = await started(keys.find("b"))
    tasks += await started(keys.find("b"), keys.find("c"))
    gate.set()
    assert await asyncio.gather(*tasks) == ["ES256 b", "ES256 b", REFUSED]
    assert keys.loads == 2


async def test_the_set_in_hand_serves_while_a_load_for_an_unknown_kid_runs(keys: Keys) -> None:
    keys.publish("a")
    await keys.find("a")
    keys.clock.advance(30)
    gate = keys.held("a")
    (task,) = await started(keys.find("b"))
    assert await keys.find("a") == "ES256 a"
    gate.set()
    assert await task == REFUSED


async def test_where_loads_cannot_be_waited_for_a_new_kid_is_told_to_come_back(keys: Keys) -> None:
    keys.env.wws.share_in_flight = False
    keys.publish("a")
    await keys.find("a")
    keys.clock.advance(30)
    gate = keys.held("a", "b")
    (task,) = await started(keys.find("b"))
    assert await keys.find("b") == NoKey(5.0)
    gate.set()
    assert await task == "ES256 b"
    assert keys.loads == 2


async def test_the_cool_down_of_a_load_that_failed_slowly_begins_at_its_end(keys: Keys) -> None:
    async def silent(sent: Sent) -> Response:
        keys.clock.advance(5)
        raise UpstreamTimeout("total")

    keys.dial.on("GET", TARGET, silent)
    assert await keys.find("a") == NoKey(30.0)
    keys.clock.advance(29)
    assert await keys.find("a") == NoKey(1.0)
    assert keys.loads == 1
    keys.publish("a")
    keys.clock.advance(1)
    assert await keys.find("a") == "ES256 a"


async def test_a_set_fetched_before_a_purge_is_not_used_after_it(keys: Keys) -> None:
    gate = keys.held("stolen")
    tasks = await started(keys.find("stolen"))
    await keys.env.wws.kv.put(RELOAD_KEY, b"now")
    tasks += await started(keys.find("stolen"))  # sees the purge, and waits for the load that began before it
    gate.set()
    assert await asyncio.gather(*tasks) == [NoKey(5.0), NoKey(5.0)]
    keys.publish("a")
    assert await keys.find("stolen") == REFUSED
    assert await keys.find("a") == "ES256 a"
    assert keys.loads == 2


async def test_a_broken_set_leaves_the_last_good_one_in_hand(keys: Keys) -> None:
    keys.publish("a")
    await keys.find("a")
    keys.clock.advance(700)
    keys.dial.on("GET", TARGET, Response(b"<html>"))
    assert await keys.find("a") == "ES256 a"
    assert await keys.find("b") == NoKey(30.0)
    assert keys.loads == 2


async def test_a_load_that_is_cancelled_is_made_again(keys: Keys) -> None:
    keys.env.wws.share_in_flight = False
    keys.held("a")
    (task,) = await started(keys.find("a"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    keys.publish("a")
    assert await keys.find("a") == "ES256 a"
