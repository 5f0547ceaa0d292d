"""API keys from their making to their end, and purges, as the command line does them and the guard sees them."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from tests.functions.auth_world import AI, BrokenStore, World, code
from tests.support.clock import FakeClock
from tests.support.services import make_env
from tests.support.supabase import Supabase, public_jwk
from wws.bindings import KV
from wws.core.auth.apikey import DEFAULT_SCOPES, KEY_PREFIX, encode_record
from wws.core.policy import Route
from wws.errors import StoreError
from wws.functions.auth_admin import create_key, list_keys, purge_sessions, reload_signing_keys, revoke_key
from wws.stores.lmdb import LmdbStore

INVALID = "401 invalid_api_key"
ORIGIN = Route("/*", "origin", auth="optional")


@pytest.fixture
async def supabase(clock: FakeClock) -> AsyncIterator[Supabase]:
    async with Supabase(clock) as server:
        yield server


@pytest.fixture
def world(supabase: Supabase, clock: FakeClock) -> World:
    return World(supabase, clock)


async def make(world: World, name: str = "n8n", **fields: Any) -> tuple[str, str]:
    key_id, key, _ = await create_key(world.env, name, random=os.urandom, **fields)
    return key_id, key


# -- API keys


async def test_a_key_opens_the_gateway_as_itself(world: World, supabase: Supabase) -> None:
    key_id, key = await make(world)
    for headers in ({"authorization": f"Bearer {key}"}, {"x_api_key": key}, {"authorization": f"bearer {key}", "x_api_key": key}):
        result = await world.ask(None, AI, **headers)
        assert code(result) == "key"
        assert result.user is not None
        assert (result.user.id, result.user.key_id, result.user.scopes) == (f"key:{key_id}", key_id, DEFAULT_SCOPES)
    assert not supabase.calls


async def test_what_is_made_of_the_random_bytes(world: World) -> None:
    asked: list[int] = []

    def random(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    key_id, key, record = await create_key(world.env, "n8n", ("ai",), 3600.0, random=random)
    assert asked == [8, 24]  # the secret has 192 bits; 160 are the least
    assert key.startswith(f"wws_live_{key_id}_")
    now = world.clock.time()
    assert (record.id, record.name, record.scopes) == (key_id, "n8n", ("ai",))
    assert (record.created_at, record.expires_at) == (now, now + 3600)


async def test_two_keys_of_one_name_live_side_by_side(world: World) -> None:
    (one, first), (other, second) = await make(world), await make(world)
    assert one != other
    assert [code(await world.ask(key)) for key in (first, second)] == ["key", "key"]
    assert await revoke_key(world.env, one)
    assert [code(await world.ask(key)) for key in (first, second)] == [INVALID, "key"]


async def test_the_secret_is_shown_once_and_stored_nowhere(world: World) -> None:
    _, key = await make(world)
    await world.ask(key)
    secret = key.split("_")[3]
    assert secret not in repr(await world.stored()) + repr(await list_keys(world.env)) + repr(
        world.env.wws.state["auth_guard"]._key_memo
    )


async def test_keys_that_are_nearly_right(world: World) -> None:
    key_id, key = await make(world)
    _, other = await make(world)
    parts, others = key.split("_"), other.split("_")

    def summed(*middle: str) -> str:
        text = "_".join(["wws", "live", *middle])
        return f"{text}_{crc32(text.encode()):08x}"

    assert summed(*parts[2:4]) == key
    for wrong in (
        key[:-1],
        key.swapcase(),
        summed(parts[2], others[3]),  # the secret of another key
        summed("z" * 11, parts[3]),  # a key that does not exist
        summed(parts[2], parts[3][::-1]),
    ):
        assert code(await world.ask(wrong)) == INVALID


async def test_a_key_ends_at_its_time(world: World) -> None:
    _, key = await make(world, expires_in=600.0)
    world.clock.advance(599.9)
    assert code(await world.ask(key)) == "key"
    world.clock.advance(0.1)
    assert code(await world.ask(key)) == INVALID
    assert await list_keys(world.env) == []


async def test_a_key_of_seconds_ends_at_its_time_too(world: World) -> None:
    _, key = await make(world, expires_in=5.0)
    world.clock.advance(5)  # the store keeps it for a minute
    assert code(await world.ask(key)) == INVALID


async def test_another_pepper_ends_every_key(world: World) -> None:
    _, key = await make(world)
    world.env.wws.secrets = replace(world.env.wws.secrets, pepper=b"q" * 32)
    world.restart()
    assert code(await world.ask(key)) == INVALID


async def test_a_revoked_key_is_gone_at_once_and_for_good(world: World) -> None:
    key_id, key = await make(world)
    assert code(await world.ask(key)) == "key"
    data = await world.kv.get(KEY_PREFIX + key_id)
    assert data is not None
    assert await revoke_key(world.env, key_id)
    assert code(await world.ask(key)) == INVALID
    await world.kv.put(KEY_PREFIX + key_id, data)  # a copy of the store that has not lost it yet
    assert code(await world.ask(key)) == INVALID
    assert await list_keys(world.env) == []
    assert not await revoke_key(world.env, key_id)


async def test_revoking_what_there_is_not(world: World) -> None:
    assert not await revoke_key(world.env, "nobody")
    assert not await world.stored()


async def test_the_list_of_keys(world: World) -> None:
    names = []
    for number in range(25):
        names.append(f"key {number}")
        await make(world, names[-1])
        world.clock.advance(1)
    await world.kv.put(KEY_PREFIX + "broken", b"junk")
    assert [record.name for record in await list_keys(world.env)] == names


async def test_a_list_longer_than_a_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str | None] = []

    class SmallPages(BrokenStore):
        async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> Any:
            pages.append(cursor)
            return await super().list(prefix, cursor, 3)

    for _ in range(10):
        await make(world)
    world.env.wws.kv = SmallPages(world.kv)
    assert len(await list_keys(world.env)) == 10
    assert len(pages) == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\nb"},
        {"scopes": ()},
        {"scopes": ("a b",)},
        {"expires_in": 0.0},
        {"expires_in": -1.0},
    ],
)
async def test_what_no_key_can_be(world: World, fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        await make(world, **{"name": "n8n", **fields})
    assert not await world.stored()


async def test_writes_about_keys_survive_a_power_cut(world: World) -> None:
    written: list[tuple[str, bool]] = []

    class Recording(BrokenStore):
        async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
            written.append((key, durable))
            await super().put(key, value, expiration_ttl, durable=durable)

    world.env.wws.kv = Recording(world.kv)
    key_id, _ = await make(world)
    await revoke_key(world.env, key_id)
    await purge_sessions(world.env, subject="someone")
    await purge_sessions(world.env, session_id="one")
    await purge_sessions(world.env, token="a.b.c")
    await purge_sessions(world.env, everything=True)
    assert len(written) == 6 and all(kept for _, kept in written)


# -- scopes


@pytest.mark.parametrize(
    ("scopes", "route", "answer"),
    [
        (("ai",), AI, "key"),
        (("ai",), ORIGIN, "403 insufficient_scope"),
        (("origin", "function"), AI, "403 insufficient_scope"),
        (("*",), AI, "key"),
        (("*",), Route("/x", "function", scopes=("admin",)), "key"),
        (DEFAULT_SCOPES, Route("/x", "function"), "key"),
        (DEFAULT_SCOPES, Route("/x", "function", scopes=("admin",)), "403 insufficient_scope"),
        (("admin",), Route("/x", "function", scopes=("admin",)), "key"),  # the route says itself what it requires
        (("admin",), Route("/x", "function", scopes=("admin", "ai")), "403 insufficient_scope"),
        (("ai",), None, "key"),
    ],
)
async def test_a_key_opens_what_its_scopes_say(world: World, scopes: tuple[str, ...], route: Route | None, answer: str) -> None:
    _, key = await make(world, scopes=scopes)
    result = await world.ask(key, route)
    assert code(result) == answer
    if route is not None and answer != "key":
        required = " ".join(route.scopes or (route.to,))
        assert result.refusal is not None
        assert result.refusal.challenge == f'Bearer realm="wws", error="insufficient_scope", scope="{required}"'


async def test_scopes_do_not_restrict_a_session(world: World, supabase: Supabase) -> None:
    assert (await world.ask(supabase.mint(), Route("/x", "function", scopes=("admin",)))).valid


async def test_scopes_are_judged_after_the_key(world: World) -> None:
    key_id, key = await make(world, scopes=("ai",))
    await revoke_key(world.env, key_id)
    assert code(await world.ask(key, ORIGIN)) == INVALID


@pytest.mark.parametrize("data", [b"junk", b"{}", b"[]"])
async def test_a_record_that_cannot_be_read_opens_nothing(world: World, data: bytes) -> None:
    key_id, key = await make(world)
    await world.kv.put(KEY_PREFIX + key_id, data)
    assert code(await world.ask(key)) == INVALID


async def test_a_record_of_another_key_opens_nothing(world: World) -> None:
    key_id, key = await make(world)
    (record,) = await list_keys(world.env)
    await world.kv.put(KEY_PREFIX + key_id, encode_record(record._replace(id="someoneelse")))
    assert code(await world.ask(key)) == INVALID


async def test_a_store_that_fails_is_never_a_401(world: World) -> None:
    _, key = await make(world)
    world.env.wws.kv = BrokenStore(world.kv, "get")
    assert code(await world.ask(key)) == "503 store_unavailable"


@pytest.fixture
def disk(clock: FakeClock, tmp_path: Path) -> Iterator[LmdbStore]:
    store = LmdbStore(tmp_path / "state", clock=clock)
    yield store
    store.close()


async def test_what_one_process_does_on_disk_another_obeys(clock: FakeClock, supabase: Supabase, disk: LmdbStore) -> None:
    operator, gateway = World(None, clock), World(supabase, clock)
    operator.env.wws.kv = gateway.env.wws.kv = disk
    key_id, key = await make(operator)
    token = supabase.mint()
    assert [code(await gateway.ask(credential)) for credential in (key, token, token)] == ["key", "jwks", "cache"]
    await revoke_key(operator.env, key_id)
    await purge_sessions(operator.env, everything=True)
    assert [code(await gateway.ask(credential)) for credential in (key, token, token)] == [INVALID, "jwks", "cache"]
    await purge_sessions(operator.env, token=token)
    assert code(await gateway.ask(token)) == INVALID


# -- purges


async def test_a_purged_token_is_refused_and_its_siblings_are_not(world: World, supabase: Supabase) -> None:
    session_id = str(uuid.uuid4())
    token, sibling = supabase.mint(session_id=session_id), supabase.mint(session_id=session_id)
    await world.ask(token)
    assert await purge_sessions(world.env, token=token) == 1
    for _ in range(2):
        assert code(await world.ask(token)) == INVALID
        assert (await world.ask(sibling)).valid
        world.clock.advance(1800)
        world.restart()


async def test_a_token_is_purged_before_it_was_ever_seen(world: World, supabase: Supabase) -> None:
    token = supabase.mint()
    assert await purge_sessions(world.env, token=token) == 0
    assert code(await world.ask(token)) == INVALID
    assert await purge_sessions(world.env, token="no.token.atall") == 0
    assert await purge_sessions(world.env, token=supabase.mint(exp=1)) == 0


async def test_a_purged_session_ends_with_all_its_tokens(world: World, supabase: Supabase) -> None:
    session_id = str(uuid.uuid4())
    seen, unseen, other = supabase.mint(session_id=session_id), supabase.mint(session_id=session_id), supabase.mint()
    await world.ask(seen)
    await world.ask(other)
    assert await purge_sessions(world.env, session_id=session_id) == 1
    assert [code(await world.ask(token)) for token in (seen, unseen, other)] == [INVALID, INVALID, "cache"]


async def test_a_purged_subject_loses_the_tokens_it_has_and_may_log_in_anew(world: World, supabase: Supabase) -> None:
    sub = str(uuid.uuid4())
    seen, also_seen, unseen, other = (*(supabase.mint(sub=sub) for _ in range(3)), supabase.mint())
    without_session = supabase.mint(sub=sub, session_id=None)
    bystander = supabase.mint(session_id=None)
    for token in (seen, also_seen, other, without_session, bystander):
        await world.ask(token)
    assert await purge_sessions(world.env, subject=sub) == 3
    for token in (seen, also_seen, unseen, without_session):
        assert code(await world.ask(token)) == INVALID
    for token in (other, bystander):
        assert code(await world.ask(token)) == "cache"
    world.clock.advance(1)
    assert code(await world.ask(supabase.mint(sub=sub))) == "jwks"


async def test_everything_is_forgotten_but_refusals(world: World, supabase: Supabase) -> None:
    tokens = [supabase.mint() for _ in range(5)]
    for token in tokens:
        await world.ask(token)
    refused, gone = supabase.mint(), str(uuid.uuid4())
    await purge_sessions(world.env, token=refused)
    await purge_sessions(world.env, session_id=gone)
    assert await purge_sessions(world.env, everything=True) == 5
    assert [code(await world.ask(token)) for token in tokens] == ["jwks"] * 5
    assert code(await world.ask(refused)) == INVALID
    assert code(await world.ask(supabase.mint(session_id=gone))) == INVALID
    assert supabase.calls["jwks"] == 2


async def test_a_key_revoked_in_haste_is_dropped_at_once(world: World, supabase: Supabase) -> None:
    supabase.keys = [public_jwk("ES256"), public_jwk("ES256", "stolen", "stolen")]
    await world.ask(supabase.mint())
    supabase.keys = supabase.keys[:1]
    assert code(await world.ask(supabase.mint(key="stolen", kid="stolen"))) == "jwks"  # the set in hand still has it
    await reload_signing_keys(world.env)
    assert code(await world.ask(supabase.mint(key="stolen", kid="stolen"))) == INVALID
    assert code(await world.ask(supabase.mint())) == "jwks"
    assert supabase.calls["jwks"] == 2


async def test_after_a_reload_the_old_keys_do_not_serve_even_when_the_new_cannot_be_had(world: World, supabase: Supabase) -> None:
    await world.ask(supabase.mint())
    await reload_signing_keys(world.env)
    supabase.mode = "down"
    for _ in range(2):
        assert code(await world.ask(supabase.mint())) == "503 auth_unavailable"
    assert supabase.calls["jwks"] == 2  # and the cool-down holds
    supabase.mode = "ok"
    world.clock.advance(30)
    assert code(await world.ask(supabase.mint())) == "jwks"


@pytest.mark.parametrize("which", [{}, {"token": "a.b.c", "everything": True}, {"session_id": "s", "subject": "u"}])
async def test_a_purge_names_one_thing(world: World, which: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        await purge_sessions(world.env, **which)
    assert not await world.stored()


async def test_a_purge_leaves_other_keys_of_the_store_alone(world: World, supabase: Supabase) -> None:
    _, key = await make(world)
    await world.kv.put("ns:VISITS:x", b"7")
    await world.ask(supabase.mint())
    await purge_sessions(world.env, everything=True)
    assert await world.kv.get("ns:VISITS:x") == b"7"
    assert code(await world.ask(key)) == "key"


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "create": lambda env: create_key(env, "n8n", random=os.urandom),
    "list": list_keys,
    "revoke": lambda env: revoke_key(env, "abc"),
    "token": lambda env: purge_sessions(env, token="a.b.c"),
    "session": lambda env: purge_sessions(env, session_id="s"),
    "subject": lambda env: purge_sessions(env, subject="u"),
    "everything": lambda env: purge_sessions(env, everything=True),
    "reload": reload_signing_keys,
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_operator_is_told_when_the_store_fails(operation: str) -> None:
    kv: KV = make_env().wws.kv
    env = make_env(kv=BrokenStore(kv, "get", "put", "list"))
    with pytest.raises(StoreError):
        await OPERATIONS[operation](env)


async def test_what_is_stored_of_a_session(world: World, supabase: Supabase) -> None:
    sub, session_id = str(uuid.uuid4()), str(uuid.uuid4())
    await world.ask(supabase.mint(sub=sub, session_id=session_id))
    ((key, value),) = (await world.stored()).items()
    now = world.clock.time()
    assert key.startswith("v1:sess:") and len(key) == len("v1:sess:") + 64
    assert json.loads(value) == ["ok", sub, "authenticated", "aal1", session_id, False, now + 3600, now, 0.0, now + 3600]
