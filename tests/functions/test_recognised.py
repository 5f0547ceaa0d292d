"""A credential seen a moment ago is known again without the store being asked, and only for as long as nothing was taken back."""

from __future__ import annotations

import gc
import secrets
from collections import Counter

import pytest

from tests.functions.auth_world import AI, World, code
from tests.support.clock import FakeClock
from wws.core.policy import Route
from wws.functions import auth_guard
from wws.functions.auth_admin import create_key, revoke_key
from wws.functions.auth_guard import recognised
from wws.http import Request
from wws.stores.memory import MemoryStore


@pytest.fixture(params=[True, False], ids=["keyed", "digested"])
def world(clock: FakeClock, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    """Where Python's hash of texts takes a key, as CPython's does, and where it takes none, as Pyodide's."""
    monkeypatch.setattr(auth_guard, "_KEYED", request.param)
    return World(None, clock)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each key of the store was read."""
    counted: Counter[str] = Counter()
    get = MemoryStore.get

    async def counting(self: MemoryStore, key: str) -> bytes | None:
        counted[key] += 1
        return await get(self, key)

    monkeypatch.setattr(MemoryStore, "get", counting)
    return counted


async def made(world: World, expires_in: float | None = None) -> tuple[str, str]:
    key_id, text, _ = await create_key(world.env, "n8n", expires_in=expires_in, random=secrets.token_bytes)
    return key_id, text


async def test_the_store_is_asked_once(world: World, reads: Counter[str]) -> None:
    _, text = await made(world)
    assert code(await world.ask(text)) == "key"
    asked = reads.total()
    assert asked > 0
    for _ in range(5):
        assert code(await world.ask(text)) == "key"
    assert reads.total() == asked


@pytest.mark.parametrize("near", [None, 2.5], ids=["told of every change", "a store that itself remembers says for how long"])
async def test_and_again_after_some_seconds(
    world: World, clock: FakeClock, reads: Counter[str], monkeypatch: pytest.MonkeyPatch, near: float | None
) -> None:
    if near is not None:
        monkeypatch.setattr(MemoryStore, "near", near, raising=False)
    _, text = await made(world)
    await world.ask(text)
    asked = reads.total()
    clock.advance((near or 5.0) - 0.1)
    await world.ask(text)
    assert reads.total() == asked
    clock.advance(0.2)
    await world.ask(text)
    assert reads.total() == 2 * asked
    clock.advance(-60.0)  # a clock that was put back recognises nobody
    await world.ask(text)
    assert reads.total() == 3 * asked


async def test_a_revoked_key_is_not_recognised(world: World) -> None:
    key_id, text = await made(world)
    other = (await made(world))[1]
    assert code(await world.ask(text)) == code(await world.ask(text)) == code(await world.ask(other)) == "key"
    assert await revoke_key(world.env, key_id)
    assert code(await world.ask(text)) == "401 invalid_api_key"
    assert code(await world.ask(other)) == "key"


async def test_a_key_that_expires_in_between(world: World, clock: FakeClock) -> None:
    _, text = await made(world, expires_in=2.0)
    assert code(await world.ask(text)) == "key"
    clock.advance(2.0)
    assert code(await world.ask(text)) == "401 invalid_api_key"


async def test_what_differs_by_a_letter_is_another(world: World) -> None:
    _, text = await made(world)
    await world.ask(text)
    assert code(await world.ask(text[:-1] + ("0" if text[-1] != "0" else "1"))) == "401 invalid_api_key"
    assert code(await world.ask(text + "A")) == "401 invalid_api_key"


async def test_two_credentials_are_never_one(world: World) -> None:
    _, text = await made(world)
    await world.ask(text)
    assert code(await world.ask(text, x_api_key="another")) == "400 malformed_credential"


async def test_scopes_are_those_of_the_route(world: World) -> None:
    _, text = await made(world)
    await world.ask(text)
    assert code(await world.ask(text)) == "key"
    assert code(await world.ask(text, Route("/v1/*", "ai", auth="required", scopes=("admin",)))) == "403 insufficient_scope"


async def test_the_credential_itself_is_not_kept(world: World) -> None:
    _, text = await made(world)
    await world.ask(text)
    guard = world.env.wws.state[auth_guard.STATE]
    assert len(guard._near) == 1
    seen: set[int] = set()
    left = [guard._near]
    while left:
        thing = left.pop()
        if id(thing) in seen or len(seen) > 10_000:
            continue
        seen.add(id(thing))
        if isinstance(thing, bytes | str):
            held = thing if isinstance(thing, bytes) else thing.encode()
            assert text.encode() not in held and text.split("_")[3].encode() not in held
        left += gc.get_referents(thing) if not isinstance(thing, type) else []


async def test_what_is_remembered_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_guard, "_NEAR", 3)
    for text in [(await made(world))[1] for _ in range(8)]:
        assert code(await world.ask(text)) == "key"
        assert len(world.env.wws.state[auth_guard.STATE]._near) <= 3


async def test_without_an_epoch_nobody_is_recognised(world: World) -> None:
    _, text = await made(world)
    await world.ask(text)
    guard = world.env.wws.state[auth_guard.STATE]
    guard._epoch = None
    request = Request("POST", "/v1/chat/completions", {"authorization": f"Bearer {text}"})
    request.route = AI
    assert recognised(request, world.env) is None
