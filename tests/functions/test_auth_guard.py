"""The auth guard end to end: a stand-in Supabase over real sockets, real signatures, a real store, a fake clock."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256

from tests.functions.auth_world import AI, BrokenStore, World, code
from tests.support.clock import FakeClock
from tests.support.dial import ScriptedDial, SocketDial, json_answer
from tests.support.supabase import Mode, Supabase, private_key, public_jwk
from wws.core.auth.session import Denied, encode
from wws.core.policy import Route
from wws.errors import Refusal
from wws.functions.session_check import MAX_NEGATIVE, SessionCheck

INVALID = "401 invalid_api_key"
UNAVAILABLE = "503 auth_unavailable"
ASYMMETRIC = ["ES256", "RS256", "EdDSA"]


@pytest.fixture
async def supabase(clock: FakeClock) -> AsyncIterator[Supabase]:
    async with Supabase(clock) as server:
        yield server


@pytest.fixture
def world(supabase: Supabase, clock: FakeClock) -> World:
    return World(supabase, clock)


# -- answers


async def test_no_credential(world: World) -> None:
    result = await world.ask()
    assert code(result) == "401 missing_credential"
    assert result.refusal is not None and result.refusal.challenge == 'Bearer realm="wws"'


@pytest.mark.parametrize(
    ("headers", "answer", "challenge"),
    [
        ({"authorization": "Bearer a b"}, "400 malformed_credential", 'Bearer realm="wws", error="invalid_request"'),
        ({"authorization": "Basic eDp5"}, "400 malformed_credential", 'Bearer realm="wws", error="invalid_request"'),
        ({"authorization": "Bearer a.b.c"}, INVALID, 'Bearer realm="wws", error="invalid_token"'),
        ({"authorization": "Bearer nonsense"}, INVALID, 'Bearer realm="wws", error="invalid_token"'),
        ({"x-api-key": "wws_live_typo"}, INVALID, 'Bearer realm="wws", error="invalid_token"'),
        ({"authorization": "Bearer sb_publishable_x"}, INVALID, 'Bearer realm="wws", error="invalid_token"'),
    ],
)
async def test_a_bad_credential(world: World, supabase: Supabase, headers: dict[str, str], answer: str, challenge: str) -> None:
    for route in (AI, Route("/*", "origin", auth="optional"), None):
        result = await world.ask(route=route, **headers)
        assert code(result) == answer
        assert result.refusal is not None and result.refusal.challenge == challenge
    assert not supabase.calls and not await world.stored()


async def test_a_bad_token_never_falls_through_to_a_good_key(world: World, supabase: Supabase) -> None:
    good = supabase.mint("HS256")
    assert code(await world.ask(good[:-4] + "AAAA", x_api_key=good)) == "400 malformed_credential"
    assert code(await world.ask("Bearer", x_api_key=good)) == "400 malformed_credential"
    assert not supabase.calls


@pytest.mark.parametrize("alg", ASYMMETRIC)
async def test_a_token_is_verified_locally_and_then_known(world: World, supabase: Supabase, alg: str) -> None:
    sub, session_id = str(uuid.uuid4()), str(uuid.uuid4())
    token = supabase.mint(alg, sub=sub, session_id=session_id, aal="aal2")
    first, second = await world.ask(token), await world.ask(token)
    assert (code(first), code(second)) == ("jwks", "cache")
    for result in (first, second):
        user = result.user
        assert user is not None
        assert (user.id, user.role, user.aal, user.session_id, user.scopes) == (sub, "authenticated", "aal2", session_id, None)
        assert user.expires_at == world.clock.time() + 3600
    assert supabase.calls == {"jwks": 1}


async def test_a_token_of_the_shared_secret_is_asked_about_and_then_known(world: World, supabase: Supabase) -> None:
    supabase.keys = []
    token = supabase.mint("HS256")
    assert [code(await world.ask(token)) for _ in range(3)] == ["origin", "cache", "cache"]
    assert supabase.calls == {"user": 1}
    sent = supabase.requests[0]
    assert (sent["apikey"], sent["authorization"]) == (supabase.publishable_key, f"Bearer {token}")


async def test_a_new_process_knows_the_session_from_the_store(world: World, supabase: Supabase) -> None:
    token = supabase.mint()
    await world.ask(token)
    world.restart()
    assert code(await world.ask(token)) == "cache"
    assert supabase.calls == {"jwks": 1}


@pytest.mark.parametrize("role", ["anon", "service_role"])
async def test_the_published_keys_of_the_project_are_no_users(world: World, supabase: Supabase, role: str) -> None:
    assert code(await world.ask(supabase.anon_key(role))) == INVALID
    assert code(await world.ask(supabase.mint("HS256", role=role))) == INVALID
    assert not supabase.calls


async def test_without_a_project_there_are_no_sessions(clock: FakeClock, supabase: Supabase) -> None:
    assert code(await World(None, clock).ask(supabase.mint())) == INVALID
    assert not supabase.calls


async def test_claims_are_checked_before_anyone_is_asked(world: World, supabase: Supabase) -> None:
    for alg in ("ES256", "HS256"):
        for claim in ("exp", "iss", "aud", "sub", "role"):
            lacking: dict[str, Any] = {claim: None}
            assert code(await world.ask(supabase.mint(alg, **lacking))) == INVALID
        assert code(await world.ask(supabase.mint(alg, exp=int(world.clock.time()) - 31))) == INVALID
        assert code(await world.ask(supabase.mint(alg, iss="https://other.supabase.co/auth/v1"))) == INVALID
    assert not supabase.calls


# -- forged tokens (RFC 8725)


def b64(data: bytes | dict[str, Any]) -> str:
    raw = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def public_pem(alg: str) -> bytes:
    key = private_key(alg).public_key()
    return bytes(key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


def sign(header: dict[str, Any], claims: dict[str, Any] | bytes, alg: str = "ES256") -> str:
    """A token whose signature is good, whatever its parts say."""
    signed = f"{b64(header)}.{b64(claims)}".encode()
    signer = pyjwt.get_algorithm_by_name(alg)
    return f"{signed.decode()}.{b64(signer.sign(signed, signer.prepare_key(private_key(alg))))}"


HEADER = {"alg": "ES256", "typ": "JWT", "kid": "kid-ES256"}


def hmac_with_public_key(supabase: Supabase, alg: str, claimed: str) -> str:
    signed = f"{b64({**HEADER, 'alg': claimed, 'kid': f'kid-{alg}'})}.{b64(supabase.claims())}"
    return f"{signed}.{b64(hmac.digest(public_pem(alg), signed.encode(), 'sha256'))}"


FORGERIES: dict[str, Any] = {
    **{
        f"alg {alg!r} without a signature": lambda s, alg=alg: f"{b64({**HEADER, 'alg': alg})}.{b64(s.claims())}."
        for alg in ("none", "None", "NONE", "nOnE", "")
    },
    **{
        f"alg {alg!r} with a good signature": lambda s, alg=alg: sign({**HEADER, "alg": alg}, s.claims())
        for alg in ("none", "NONE", "ES512", "RS256", "EdDSA", "es256", "HS384")
    },
    "HS256 signed with the public EC key": lambda s: hmac_with_public_key(s, "ES256", "HS256"),
    "HS256 signed with the public RSA key": lambda s: hmac_with_public_key(s, "RS256", "HS256"),
    "the right kid and the wrong key": lambda s: s.mint(key="attacker"),
    "the right kid and the wrong RSA key": lambda s: s.mint("RS256", key="attacker"),
    "the right kid and the wrong Ed25519 key": lambda s: s.mint("EdDSA", key="attacker"),
    "the kid of a key of another algorithm": lambda s: s.mint("ES256", kid="kid-RS256"),
    "another secret": lambda s: s.mint("HS256", key="attacker"),
    "a key of its own in the header": lambda s: s.mint(
        key="attacker", headers={"jwk": {"kty": "oct", "k": "AA"}, "jku": "http://x"}
    ),
    "crit": lambda s: sign({**HEADER, "crit": ["exp"]}, s.claims()),
    "an unencoded payload": lambda s: sign({**HEADER, "crit": ["b64"], "b64": False}, s.claims()),
    "another typ": lambda s: sign({**HEADER, "typ": "logout+jwt"}, s.claims()),
    "padding": lambda s: s.mint() + "=",
    "white space": lambda s: s.mint().replace(".", ".\t", 1),
    "another last character": lambda s: (t := s.mint())[:-1] + chr(ord(t[-1]) + 1),
    "a truncated signature": lambda s: s.mint()[:-4],
    "a signature of nothing": lambda s: ".".join([*s.mint().split(".")[:2], ""]),
    "claims of another token": lambda s: ".".join([(t := s.mint().split("."))[0], b64(s.claims()), t[2]]),
    "a DER signature": lambda s: (
        f"{(signed := f'{b64(HEADER)}.{b64(s.claims())}')}.{b64(private_key('ES256').sign(signed.encode(), ECDSA(SHA256())))}"
    ),
    "a claim twice": lambda s: sign(
        HEADER, json.dumps(s.claims()).encode()[:-1] + b',"sub":"00000000-0000-4000-8000-000000000001"}'
    ),
    "exp as text": lambda s: sign(HEADER, {**s.claims(), "exp": str(s.claims()["exp"])}),
    "exp as true": lambda s: sign(HEADER, {**s.claims(), "exp": True}),
    "no object": lambda s: sign(HEADER, b"[1]"),
    **{f"no {name}": lambda s, name=name: s.mint(**{name: None}) for name in ("exp", "iss", "aud", "sub", "role")},
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_token_is_refused_and_leaves_nothing(world: World, supabase: Supabase, forgery: str) -> None:
    token = FORGERIES[forgery](supabase)
    for _ in range(2):
        result = await world.ask(token)
        assert code(result) == ("400 malformed_credential" if "\t" in token else INVALID)
        assert result.refusal is not None
        assert result.refusal.message == Refusal(result.refusal.code).message  # no hint which check failed
    assert not await world.stored()


async def test_the_same_parts_with_everything_right_are_accepted(world: World, supabase: Supabase) -> None:
    assert code(await world.ask(sign(HEADER, supabase.claims()))) == "jwks"
    assert code(await world.ask(sign({"alg": "HS256", "typ": "JWT"}, supabase.claims(), "HS256"))) == "origin"


# -- the table of answers to GET /user

ONCE, REMEMBERED, BURIED = "once", "remembered", "buried"


@pytest.mark.parametrize(
    ("status", "body", "headers", "answer", "memory"),
    [
        (401, {"error_code": "no_authorization"}, {}, INVALID, ONCE),
        (403, {"error_code": "bad_jwt"}, {}, INVALID, REMEMBERED),
        (403, {}, {"x_sb_error_code": "bad_jwt"}, INVALID, REMEMBERED),
        (403, {"error_code": "session_not_found"}, {}, INVALID, BURIED),
        (403, {"error_code": "user_not_found"}, {}, INVALID, BURIED),
        (403, {"error_code": "user_banned"}, {}, "403 user_banned", REMEMBERED),
        (400, {"error_code": "validation_failed"}, {}, INVALID, REMEMBERED),
        (401, {"message": "Invalid API key"}, {}, "500 auth_misconfigured", ONCE),
        (404, {}, {}, "500 auth_misconfigured", ONCE),
        (429, {"error_code": "over_request_rate_limit"}, {"retry_after": "7"}, UNAVAILABLE, ONCE),
        (500, {"error_code": "unexpected_failure"}, {}, UNAVAILABLE, ONCE),
        (503, {}, {}, UNAVAILABLE, ONCE),
        (302, {}, {"location": "http://127.0.0.1/"}, UNAVAILABLE, ONCE),
        (403, {}, {}, UNAVAILABLE, ONCE),
        (200, {"id": "00000000-0000-4000-8000-000000000009"}, {}, UNAVAILABLE, ONCE),  # someone else
        (200, {}, {}, UNAVAILABLE, ONCE),
    ],
)
async def test_each_answer_of_the_auth_server(
    supabase: Supabase, clock: FakeClock, status: int, body: dict[str, Any], headers: dict[str, str], answer: str, memory: str
) -> None:
    dial = ScriptedDial()
    world = World(supabase, clock, dial)
    session_id = str(uuid.uuid4())
    token = supabase.mint("HS256", session_id=session_id)
    dial.on("GET", "/auth/v1/user", json_answer(body, status, **headers))
    result = await world.ask(token)
    assert code(result) == answer
    assert result.refusal is not None
    if answer == UNAVAILABLE:
        assert result.refusal.retry_after == (7.0 if headers.get("retry_after") else 5.0)
        assert result.refusal.challenge is None
    await world.ask(token)
    assert dial.count("/auth/v1/user") == (2 if memory == ONCE else 1)
    assert list(await world.stored()) == ([f"v1:gone:{session_id}"] if memory == BURIED else [])
    world.clock.advance(61)
    dial.on("GET", "/auth/v1/user", json_answer({"id": pyjwt.decode(token, options={"verify_signature": False})["sub"]}))
    assert code(await world.ask(token)) == (INVALID if memory == BURIED else "origin")


async def test_an_ended_session_ends_all_its_tokens(world: World, supabase: Supabase) -> None:
    session_id = str(uuid.uuid4())
    supabase.logout(session_id)
    assert code(await world.ask(supabase.mint("HS256", session_id=session_id))) == INVALID
    assert code(await world.ask(supabase.mint("ES256", session_id=session_id))) == INVALID  # never seen, and well signed
    assert supabase.calls == {"user": 1}


@pytest.mark.parametrize("mode", ["down", "busy", "reset", "garbage"])
@pytest.mark.parametrize("alg", ["HS256", "ES256"])
async def test_an_auth_server_in_trouble_is_never_a_401(world: World, supabase: Supabase, alg: str, mode: Mode) -> None:
    supabase.mode = mode
    token = supabase.mint(alg)
    result = await world.ask(token)
    assert code(result) == UNAVAILABLE
    assert result.refusal is not None and result.refusal.retry_after is not None and result.refusal.retry_after >= 1
    assert not await world.stored()
    supabase.mode = "ok"
    world.clock.advance(31)
    assert code(await world.ask(token)) == ("origin" if alg == "HS256" else "jwks")


@pytest.mark.parametrize("alg", ["HS256", "ES256"])
async def test_a_silent_auth_server_is_given_up_on(supabase: Supabase, clock: FakeClock, alg: str) -> None:
    world = World(supabase, clock, SocketDial(patience=0.05))
    supabase.mode = "slow"
    assert code(await world.ask(supabase.mint(alg))) == UNAVAILABLE


@pytest.mark.parametrize("alg", ["HS256", "ES256"])
async def test_an_auth_server_that_is_gone(world: World, supabase: Supabase, alg: str) -> None:
    known, unknown = supabase.mint(alg), supabase.mint(alg)
    await world.ask(known)
    await supabase.stop()
    world.restart()
    assert code(await world.ask(known)) == "cache"
    assert code(await world.ask(unknown)) == UNAVAILABLE


async def test_a_wrong_project_key_is_our_mistake_and_said_so(world: World, supabase: Supabase) -> None:
    supabase.publishable_key = "sb_publishable_rotated"
    assert code(await world.ask(supabase.mint("HS256"))) == "500 auth_misconfigured"


@pytest.mark.parametrize("url", ["http://project.supabase.co", "http://10.0.0.7:8000"])
async def test_an_auth_server_over_plain_http_elsewhere_is_not_used(supabase: Supabase, clock: FakeClock, url: str) -> None:
    world = World(supabase, clock, ScriptedDial(), supabase_url=url, issuer=supabase.issuer)
    for alg in ("HS256", "ES256"):
        assert code(await world.ask(supabase.mint(alg))) == "500 auth_misconfigured"


# -- the cached verdict over time


@pytest.mark.parametrize(("session_ttl", "lifetime", "end"), [(3600.0, 900, 900), (600.0, 3600, 600), (3600.0, 3600, 3600)])
async def test_a_verdict_ends_with_its_token_or_the_configured_time(
    supabase: Supabase, clock: FakeClock, session_ttl: float, lifetime: int, end: int
) -> None:
    world = World(supabase, clock, session_ttl=session_ttl, recheck_after=3600.0)
    token = supabase.mint(exp=int(clock.time()) + lifetime)
    await world.ask(token)
    clock.advance(end - 1)
    assert code(await world.ask(token)) == "cache"
    clock.advance(1)
    assert code(await world.ask(token)) == "jwks"  # verified anew: from here on by the leeway, or for another while
    clock.advance(lifetime - end + 30)
    assert code(await world.ask(token)) == INVALID


async def test_a_token_in_its_leeway_is_not_kept(world: World, supabase: Supabase) -> None:
    token = supabase.mint(exp=int(world.clock.time()) - 10)
    assert [code(await world.ask(token)) for _ in range(2)] == ["jwks", "jwks"]
    assert not await world.stored()


async def test_a_verdict_of_less_than_a_minute_ends_in_time(world: World, supabase: Supabase) -> None:
    token = supabase.mint("HS256", exp=int(world.clock.time()) + 20)
    assert [code(await world.ask(token)) for _ in range(2)] == ["origin", "cache"]
    world.clock.advance(20)  # the store keeps it for a minute
    assert code(await world.ask(token)) == INVALID


@pytest.mark.parametrize("alg", ["HS256", "ES256"])
async def test_a_logout_takes_effect_at_the_background_check(world: World, supabase: Supabase, alg: str) -> None:
    session_id = str(uuid.uuid4())
    token, sibling, unseen = (supabase.mint(alg, session_id=session_id) for _ in range(3))
    await world.ask(token)
    world.clock.advance(1)
    await world.ask(sibling)
    world.clock.advance(-1)
    supabase.logout(session_id)
    world.clock.advance(300)
    assert code(await world.ask(token)) == "cache"
    world.clock.advance(1)
    assert code(await world.ask(token)) == "cache"  # served, and checked behind
    await world.background.drain()
    for refused in (token, sibling, unseen):  # a verdict replaced, one still cached, and none
        assert code(await world.ask(refused)) == INVALID
    world.restart()
    world.clock.advance(120)  # past any negative verdict of a minute: the token is still well signed
    for refused in (token, sibling, unseen):
        assert code(await world.ask(refused)) == INVALID


@pytest.mark.parametrize("alg", ["HS256", "ES256"])
async def test_a_ban_holds_to_the_end_of_the_token(world: World, supabase: Supabase, alg: str) -> None:
    sub = str(uuid.uuid4())
    token = supabase.mint(alg, sub=sub)
    await world.ask(token)
    supabase.ban(sub)
    world.clock.advance(301)
    await world.ask(token)
    await world.background.drain()
    for _ in range(3):
        assert code(await world.ask(token)) == "403 user_banned"
        world.clock.advance(900)
        world.restart()


async def test_a_check_that_confirms_starts_the_interval_anew(world: World, supabase: Supabase) -> None:
    token = supabase.mint("HS256")
    await world.ask(token)
    for checks in range(2, 8):
        world.clock.advance(301)
        for _ in range(5):
            assert code(await world.ask(token)) == "cache"
        await world.background.drain()
        assert supabase.calls == {"user": checks}
    record = next(iter((await world.stored()).values()))
    assert json.loads(record)[7] == world.clock.time()


async def test_a_check_that_fails_changes_nothing_and_is_tried_again_later_and_later(world: World, supabase: Supabase) -> None:
    token = supabase.mint("HS256")
    await world.ask(token)
    before = await world.stored()
    world.clock.advance(301)
    supabase.mode = "down"
    tries = []
    for second in range(120):
        calls = supabase.calls["user"]
        assert code(await world.ask(token)) == "cache"
        await world.background.drain()
        if supabase.calls["user"] > calls:
            tries.append(second)
        world.clock.advance(1)
    assert tries == [0, 5, 15, 35, 75]
    assert await world.stored() == before
    supabase.mode = "ok"
    world.clock.advance(120)
    await world.ask(token)
    await world.background.drain()
    assert await world.stored() != before


async def test_one_check_at_a_time_runs_behind_the_requests_of_a_token(world: World, supabase: Supabase) -> None:
    world.env.wws.share_in_flight = False
    token = supabase.mint("HS256")
    await world.ask(token)
    world.clock.advance(301)
    for result in await asyncio.gather(*(world.ask(token) for _ in range(20))):
        assert code(result) == "cache"
    await world.background.drain()
    assert supabase.calls == {"user": 2}


async def test_a_refusal_in_the_store_ends_at_its_time(world: World, supabase: Supabase) -> None:
    token = supabase.mint()
    await world.ask(token)
    (key,) = await world.stored()
    await world.kv.put(key, encode(Denied("user_banned", world.clock.time() + 10)))
    assert code(await world.ask(token)) == "403 user_banned"
    world.clock.advance(10)
    assert code(await world.ask(token)) == "jwks"


async def test_the_operator_hears_of_a_wrong_project_key_behind_a_request(world: World, supabase: Supabase) -> None:
    token = supabase.mint("HS256")
    await world.ask(token)
    supabase.publishable_key = "sb_publishable_rotated"
    world.clock.advance(301)
    assert code(await world.ask(token)) == "cache"
    with pytest.raises(Refusal, match="auth_misconfigured"):
        await world.background.drain()


async def test_a_token_silent_for_long_waits_for_its_check(world: World, supabase: Supabase) -> None:
    session_id = str(uuid.uuid4())
    token, other = supabase.mint(session_id=session_id), supabase.mint()
    await world.ask(token)
    await world.ask(other)
    supabase.logout(session_id)
    world.clock.advance(2400)
    assert code(await world.ask(token)) == INVALID
    assert code(await world.ask(other)) == "origin"
    assert code(await world.ask(other)) == "cache"


@pytest.mark.parametrize("mode", ["down", "busy", "reset", "garbage", "no_bearer"])
async def test_a_silent_token_is_served_from_its_verdict_when_nobody_can_tell(
    world: World, supabase: Supabase, mode: Mode
) -> None:
    token = supabase.mint()
    await world.ask(token)
    supabase.mode = mode
    world.clock.advance(2400)
    assert code(await world.ask(token)) == "cache"
    world.clock.advance(1200)
    assert code(await world.ask(token)) != "cache"  # not past its own end


async def test_while_the_auth_server_is_silent_one_request_waits_and_not_all(world: World, supabase: Supabase) -> None:
    token, other = supabase.mint(), supabase.mint()
    await world.ask(token)
    await world.ask(other)
    world.clock.advance(2400)
    supabase.mode = "down"
    assert code(await world.ask(token)) == "cache"  # asked in vain
    supabase.mode = "slow"
    for _ in range(3):
        for known in (token, other):
            assert code(await asyncio.wait_for(world.ask(known), 5)) == "cache"  # asked behind the request
    supabase.mode = "ok"
    supabase.release()
    await world.background.drain()
    assert supabase.calls["user"] == 3
    assert [json.loads(value)[7] for value in (await world.stored()).values()] == [world.clock.time()] * 2
    session_id = str(uuid.uuid4())
    revoked = supabase.mint(session_id=session_id)
    await world.ask(revoked)
    supabase.logout(session_id)
    world.clock.advance(700)
    assert code(await world.ask(revoked)) == INVALID  # it answers again, so it is waited for again


async def test_a_purge_during_a_check_stands(world: World, supabase: Supabase) -> None:
    token = supabase.mint("HS256")
    await world.ask(token)
    (key,) = await world.stored()
    world.clock.advance(301)
    supabase.mode = "slow"
    await world.ask(token)
    await supabase.until("user", 2)
    await world.kv.delete(key)
    supabase.mode = "ok"
    supabase.release()
    await world.background.drain()
    assert not await world.stored()


# -- fresh_auth


async def test_a_sensitive_route_waits_for_a_check_online(world: World, supabase: Supabase) -> None:
    sensitive = Route("/pay", "function", fresh_auth=60.0)
    token = supabase.mint()
    assert code(await world.ask(token)) == "jwks"
    assert code(await world.ask(token, sensitive)) == "origin"  # a local verification is no check online
    assert code(await world.ask(token, sensitive)) == "cache"
    world.clock.advance(61)
    assert code(await world.ask(token)) == "cache"
    assert code(await world.ask(token, sensitive)) == "origin"
    assert supabase.calls["user"] == 2


async def test_a_sensitive_route_asks_at_first_sight_too(world: World, supabase: Supabase) -> None:
    session_id = str(uuid.uuid4())
    supabase.logout(session_id)
    sensitive = Route("/pay", "function", fresh_auth=60.0)
    assert code(await world.ask(supabase.mint(session_id=session_id), sensitive)) == INVALID
    assert code(await world.ask(supabase.mint(), sensitive)) == "origin"
    assert code(await world.ask(supabase.mint("HS256"), sensitive)) == "origin"
    assert supabase.calls["user"] == 3


async def test_with_a_ceiling_of_zero_every_request_is_checked(world: World, supabase: Supabase) -> None:
    token = supabase.mint("HS256")
    for calls in range(1, 4):
        assert code(await world.ask(token, Route("/pay", "function", fresh_auth=0.0))) == "origin"
        assert supabase.calls["user"] == calls


async def test_a_sensitive_route_does_not_fall_back_on_an_old_verdict(world: World, supabase: Supabase) -> None:
    token = supabase.mint("HS256")
    await world.ask(token)
    supabase.mode = "down"
    world.clock.advance(61)
    assert code(await world.ask(token, Route("/pay", "function", fresh_auth=60.0))) == UNAVAILABLE
    assert code(await world.ask(token)) == "cache"


# -- many at once


@pytest.mark.parametrize(("alg", "calls"), [("HS256", {"user": 1}), ("ES256", {"jwks": 1})])
async def test_a_hundred_requests_with_one_unknown_token_cause_one_call(
    world: World, supabase: Supabase, alg: str, calls: dict[str, int]
) -> None:
    token = supabase.mint(alg)
    results = await asyncio.gather(*(world.ask(token) for _ in range(100)))
    assert {result.valid for result in results} == {True}
    assert supabase.calls == calls


async def test_a_hundred_unknown_tokens_share_one_load_of_the_keys(world: World, supabase: Supabase) -> None:
    results = await asyncio.gather(*(world.ask(supabase.mint("EdDSA")) for _ in range(100)))
    assert {code(result) for result in results} == {"jwks"}
    assert supabase.calls == {"jwks": 1}


async def test_the_first_to_ask_may_leave_without_the_others_noticing(world: World, supabase: Supabase) -> None:
    supabase.mode = "slow"
    token = supabase.mint("HS256")
    tasks = [asyncio.ensure_future(world.ask(token)) for _ in range(3)]
    await supabase.until("user", 1)
    tasks[0].cancel()
    await asyncio.sleep(0)
    supabase.mode = "ok"
    supabase.release()
    first, *others = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert all(not isinstance(other, BaseException) and other.valid for other in others)
    assert supabase.calls == {"user": 1}
    assert code(await world.ask(token)) == "cache"


async def test_a_check_whose_only_caller_leaves_still_ends_in_the_store(world: World, supabase: Supabase) -> None:
    supabase.mode = "slow"
    token = supabase.mint("HS256")
    task = asyncio.ensure_future(world.ask(token))
    await supabase.until("user", 1)
    task.cancel()
    supabase.mode = "ok"
    supabase.release()
    await world.background.drain()
    assert code(await world.ask(token)) == "cache"


async def test_where_requests_may_not_wait_for_each_other_each_asks_for_itself(world: World, supabase: Supabase) -> None:
    world.env.wws.share_in_flight = False
    token = supabase.mint("HS256")
    results = await asyncio.gather(*(world.ask(token) for _ in range(10)))
    assert {code(result) for result in results} == {"origin"}
    assert supabase.calls == {"user": 10}
    tokens = [supabase.mint() for _ in range(10)]
    assert {code(result) for result in await asyncio.gather(*map(world.ask, tokens))} == {"jwks"}


async def test_checks_in_progress_are_bounded(world: World, supabase: Supabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wws.functions.session_check.MAX_FLIGHTS", 3)
    supabase.mode = "slow"
    tasks = [asyncio.ensure_future(world.ask(supabase.mint("HS256"))) for _ in range(3)]
    await supabase.until("user", 3)
    result = await world.ask(supabase.mint("HS256"))
    assert code(result) == UNAVAILABLE
    assert result.refusal is not None and result.refusal.retry_after == 1.0
    supabase.mode = "ok"
    supabase.release()
    assert {code(result) for result in await asyncio.gather(*tasks)} == {"origin"}


# -- signing keys


async def test_a_thousand_unknown_kids_cause_one_load_in_30_seconds(world: World, supabase: Supabase) -> None:
    template = supabase.mint().split(".")
    for number in range(1000):
        forged = b64({**HEADER, "kid": f"kid-{number}"})
        assert code(await world.ask(".".join([forged, *template[1:]]))) == INVALID
        world.clock.advance(0.1)
    assert supabase.calls == {"jwks": 4}  # in 100 seconds
    assert not await world.stored()


async def test_a_rotated_key_is_found(world: World, supabase: Supabase) -> None:
    await world.ask(supabase.mint())
    supabase.keys.append(public_jwk("ES256", "next", "next"))
    token = supabase.mint(key="next", kid="next")
    assert code(await world.ask(token)) == INVALID  # within the cool-down of the first load
    world.clock.advance(30)
    assert code(await world.ask(token)) == "jwks"


async def test_an_unknown_kid_while_the_keys_cannot_be_fetched_is_no_401(world: World, supabase: Supabase) -> None:
    await world.ask(supabase.mint())
    world.clock.advance(31)
    supabase.mode = "down"
    for _ in range(2):
        result = await world.ask(supabase.mint(kid="next"))
        assert code(result) == UNAVAILABLE
        assert result.refusal is not None and result.refusal.retry_after == 30.0
    assert supabase.calls["jwks"] == 2
    assert code(await world.ask(supabase.mint())) == "jwks"  # its key is in hand


async def test_the_last_good_keys_serve_ten_minutes_past_their_age(world: World, supabase: Supabase) -> None:
    await world.ask(supabase.mint())
    supabase.mode = "down"
    for advance, answer in ((599, "jwks"), (1, "jwks"), (590, "jwks"), (10, UNAVAILABLE)):
        world.clock.advance(advance)
        assert code(await world.ask(supabase.mint())) == answer
    supabase.mode = "ok"
    world.clock.advance(31)
    assert code(await world.ask(supabase.mint())) == "jwks"


async def test_keys_older_than_ten_minutes_are_fetched_again(world: World, supabase: Supabase) -> None:
    await world.ask(supabase.mint())
    supabase.keys = []
    world.clock.advance(599)
    assert code(await world.ask(supabase.mint())) == "jwks"
    world.clock.advance(1)
    assert code(await world.ask(supabase.mint())) == INVALID
    assert supabase.calls["jwks"] == 2


# -- what is remembered of refusals


async def test_a_refused_token_is_not_asked_about_again_for_a_minute(world: World, supabase: Supabase) -> None:
    token = supabase.mint("HS256", key="attacker")
    for advance in (0, 30, 29):
        world.clock.advance(advance)
        assert code(await world.ask(token)) == INVALID
    assert supabase.calls == {"user": 1}
    world.clock.advance(1)
    assert code(await world.ask(token)) == INVALID
    assert supabase.calls == {"user": 2}


async def test_a_bad_signature_is_verified_once_a_minute(world: World, supabase: Supabase) -> None:
    verified: list[bytes] = []
    verifier = world.env.wws.crypto

    class Counting:
        async def verify(self, algorithm: str, jwk: Any, signed: bytes, signature: bytes) -> bool:
            verified.append(signed)
            return await verifier.verify(algorithm, jwk, signed, signature)

    world.env.wws.crypto = Counting()
    token = supabase.mint(key="attacker")
    for _ in range(5):
        assert code(await world.ask(token)) == INVALID
    assert len(verified) == 1


async def test_refusals_are_remembered_in_bounded_memory(
    world: World, monkeypatch: pytest.MonkeyPatch, supabase: Supabase
) -> None:
    assert MAX_NEGATIVE <= 10_000
    monkeypatch.setattr("wws.functions.session_check.MAX_NEGATIVE", 20)
    tokens = [supabase.mint("HS256", key="attacker") for _ in range(30)]
    for token in tokens:
        await world.ask(token)
    assert supabase.calls == {"user": 30}
    check: SessionCheck = world.env.wws.state["auth_guard"]._check
    assert len(check._negative) == 20
    await world.ask(tokens[-1])
    assert supabase.calls == {"user": 30}
    await world.ask(tokens[0])  # pushed out
    assert supabase.calls == {"user": 31}


# -- secrets and stores


async def test_no_token_and_no_secret_reaches_the_store(world: World, supabase: Supabase) -> None:
    good, bad, sub = (
        supabase.mint("HS256", email="planted@example.com"),
        supabase.mint("HS256", key="attacker"),
        str(uuid.uuid4()),
    )
    banned = supabase.mint("ES256", sub=sub)
    supabase.ban(sub)
    for token in (good, bad, banned):
        await world.ask(token)
    world.clock.advance(301)
    for token in (good, bad, banned):
        await world.ask(token)
    await world.background.drain()
    stored = await world.stored()
    assert len(stored) == 2
    everything = repr(stored) + repr(world.env.wws.state["auth_guard"]._memo)
    planted = [part for token in (good, bad, banned) for part in token.split(".")]
    for secret in (*planted, "planted@example.com", supabase.publishable_key, "p" * 32):
        assert secret not in everything


async def test_a_refusal_shows_nothing_of_the_token(world: World, supabase: Supabase) -> None:
    token = supabase.mint(key="attacker")
    refusal = (await world.ask(token)).refusal
    assert refusal is not None
    assert not any(part in f"{refusal!r}{refusal}{refusal.challenge}" for part in token.split("."))


@pytest.mark.parametrize("alg", ["HS256", "ES256"])
async def test_a_store_that_fails_is_never_a_401(world: World, supabase: Supabase, alg: str) -> None:
    token = supabase.mint(alg)
    await world.ask(token)
    world.env.wws.kv = BrokenStore(world.kv, "get")
    world.restart()
    result = await world.ask(token)
    assert code(result) == "503 store_unavailable"
    assert result.refusal is not None and result.refusal.retry_after == 5.0


@pytest.mark.parametrize("alg", ["HS256", "ES256"])
async def test_a_verdict_that_cannot_be_kept_still_counts(world: World, supabase: Supabase, alg: str) -> None:
    world.env.wws.kv = BrokenStore(world.kv, "put")
    assert code(await world.ask(supabase.mint(alg))) in ("origin", "jwks")
    session_id = str(uuid.uuid4())
    supabase.logout(session_id)
    assert code(await world.ask(supabase.mint("HS256", session_id=session_id))) == INVALID


@pytest.mark.parametrize("data", [b"", b"junk", b'["ok"]', b'["ok",1,2]', b"{}"])
async def test_a_record_that_cannot_be_read_is_as_good_as_none(world: World, supabase: Supabase, data: bytes) -> None:
    token = supabase.mint()
    await world.ask(token)
    (key,) = await world.stored()
    await world.kv.put(key, data)
    assert [code(await world.ask(token)) for _ in range(2)] == ["jwks", "cache"]


async def test_decoded_records_are_kept_in_bounded_memory(
    world: World, supabase: Supabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wws.functions.auth_guard._MEMO", 5)
    tokens = [supabase.mint("EdDSA") for _ in range(12)]
    for token in [*tokens, *tokens]:
        assert (await world.ask(token)).valid
        assert len(world.env.wws.state["auth_guard"]._memo) <= 5


async def test_another_policy_makes_another_guard(world: World, supabase: Supabase, clock: FakeClock) -> None:
    token = supabase.mint()
    await world.ask(token)
    other = World(None, clock)
    other.env.wws.state = world.env.wws.state
    assert code(await other.ask(token)) == INVALID
