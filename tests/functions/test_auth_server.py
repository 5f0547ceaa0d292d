"""What is sent to the auth server, and how much of an answer is taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.dial import ScriptedDial, json_answer
from tests.support.services import make_env
from tests.support.supabase import public_jwk
from wws.core.auth.jwks import MAX_BYTES
from wws.core.auth.supabase import MAX_ANSWER, UNAVAILABLE, VALID
from wws.core.policy import AuthPolicy
from wws.errors import ConnectFailed, UpstreamCut, UpstreamMalformed, UpstreamTimeout
from wws.functions.auth_server import Answer, AuthServer
from wws.http import Response, Stream

USER, KEYS = "/auth/v1/user", "/auth/v1/.well-known/jwks.json"
ERRORS = [
    ConnectFailed("refused"),
    UpstreamTimeout("first_byte"),
    UpstreamCut("reset", answered=False),
    UpstreamMalformed("junk"),
]


def server(dial: ScriptedDial, url: str = "https://project.supabase.co", **policy: Any) -> AuthServer:
    auth = AuthPolicy(**{"supabase_key": "sb_publishable_x", **policy})
    return AuthServer(make_env(clock=FakeClock(), dial=dial).wws, auth, url)


async def test_the_question_about_a_token() -> None:
    dial = ScriptedDial()
    dial.on("GET", USER, json_answer({"id": "someone"}))
    assert await server(dial).user(b"a.b.c", "someone") == Answer(VALID)
    (call,) = dial.calls
    assert (call.method, call.endpoint.authority, call.body) == ("GET", "project.supabase.co", b"")
    assert (call.header("apikey"), call.header("authorization")) == ("sb_publishable_x", "Bearer a.b.c")
    assert call.header("user-agent") == "wws"  # a secret key is refused to what looks like a browser
    assert call.header("accept-encoding") == "identity"
    assert call.deadline == FakeClock().monotonic() + 5.0
    assert call.timeouts.total == 5.0


async def test_a_smaller_budget() -> None:
    dial = ScriptedDial()
    dial.on("GET", USER, json_answer({"id": "someone"}))
    await server(dial).user(b"a.b.c", "someone", 3.0)
    assert dial.calls[0].deadline == FakeClock().monotonic() + 3.0


async def test_a_server_without_a_gateway_in_front_needs_no_key() -> None:
    dial = ScriptedDial()
    dial.on("GET", "/base/auth/v1/user", json_answer({"id": "someone"}))
    own = server(dial, "http://127.0.0.1:9999/base/", supabase_key=None)
    assert await own.user(b"a.b.c", "someone") == Answer(VALID)
    assert dial.calls[0].header("apikey") is None
    assert own.issuer == "http://127.0.0.1:9999/base/auth/v1"


def test_the_issuer_may_be_named() -> None:
    assert server(ScriptedDial()).issuer == "https://project.supabase.co/auth/v1"
    assert server(ScriptedDial(), issuer="https://login.example.com").issuer == "https://login.example.com"


@pytest.mark.parametrize(
    ("url", "usable"),
    [
        ("https://project.supabase.co", True),
        ("https://10.0.0.7", True),
        ("http://127.0.0.1:54321", True),
        ("http://127.8.8.8:54321", True),
        ("http://localhost:54321", True),
        ("http://auth.localhost:54321", True),
        ("http://[::1]:54321", True),
        ("http+unix:///run/auth.sock", True),
        ("http://project.supabase.co", False),
        ("http://10.0.0.7:8000", False),
        ("http://[fe80::1]:54321", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://notlocalhost", False),
    ],
)
async def test_plain_http_is_for_the_loopback(url: str, usable: bool) -> None:
    dial = ScriptedDial()
    own = server(dial, url)
    assert own.usable is usable
    if not usable:
        assert (await own.user(b"a.b.c", "someone")).meaning.verdict == "misconfigured"
        assert await own.keys() is None
        assert not dial.calls


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_failed_connection_tells_nothing(error: Exception) -> None:
    dial = ScriptedDial()
    dial.on("GET", USER, error)
    dial.on("GET", KEYS, error)
    assert await server(dial).user(b"a.b.c", "someone") == Answer(UNAVAILABLE)
    assert await server(dial).keys() is None


async def test_the_signing_keys() -> None:
    dial = ScriptedDial()
    dial.on("GET", KEYS, json_answer({"keys": [public_jwk("ES256", "e")]}))
    keys = await server(dial).keys()
    assert keys is not None and [key.kid for key in keys] == ["e"]
    assert dial.calls[0].deadline == FakeClock().monotonic() + 5.0
    assert dial.calls[0].header("authorization") is None


@pytest.mark.parametrize("status", [204, 301, 302, 304, 401, 403, 404, 429, 500, 503])
async def test_keys_are_taken_from_a_200_only(status: int) -> None:
    dial = ScriptedDial()
    dial.on("GET", KEYS, json_answer({"keys": [public_jwk("ES256")]}, status, location="http://127.0.0.1/"))
    assert await server(dial).keys() is None
    assert len(dial.calls) == 1  # a redirect is not followed


class Source:
    """A body that arrives in pieces and knows how many were taken."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces
        self.taken = 0
        self.closed = False

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def close(self) -> None:
        self.closed = True

    def response(self) -> Response:
        return Response(Stream(self.chunks(), self.close))


async def test_an_answer_in_pieces() -> None:
    dial, source = ScriptedDial(), Source(b'{"id":', b'"some', b'one"}')
    dial.on("GET", USER, source.response())
    assert await server(dial).user(b"a.b.c", "someone") == Answer(VALID)


async def test_an_answer_that_is_cut() -> None:
    dial = ScriptedDial()
    dial.on("GET", USER, Source(b'{"id":', UpstreamCut("reset", answered=True)).response())
    assert await server(dial).user(b"a.b.c", "someone") == Answer(UNAVAILABLE)


@pytest.mark.parametrize("target", [USER, KEYS])
async def test_an_endless_answer_is_not_taken(target: str) -> None:
    dial, source = ScriptedDial(), Source(*([b" " * 65_536] * 1000))
    dial.on("GET", target, source.response())
    own = server(dial)
    if target == USER:
        assert await own.user(b"a.b.c", "someone") == Answer(UNAVAILABLE)
        assert source.taken == MAX_ANSWER // 65_536 + 1
    else:
        assert await own.keys() is None
        assert source.taken == MAX_BYTES // 65_536 + 1
    assert source.closed


async def test_a_large_profile_is_taken() -> None:
    dial = ScriptedDial()
    dial.on("GET", USER, json_answer({"id": "someone", "user_metadata": {"bio": "x" * 500_000}}))
    assert await server(dial).user(b"a.b.c", "someone") == Answer(VALID)
    dial.on("GET", USER, json_answer({"id": "someone", "user_metadata": {"bio": "x" * MAX_ANSWER}}))
    assert await server(dial).user(b"a.b.c", "someone") == Answer(UNAVAILABLE)


@pytest.mark.parametrize(("status", "header", "seconds"), [(429, "12", 12.0), (503, "3600", 60.0), (503, None, 5.0)])
async def test_how_long_to_wait(status: int, header: str | None, seconds: float) -> None:
    dial = ScriptedDial()
    dial.on("GET", USER, json_answer({}, status, **({} if header is None else {"retry_after": header})))
    assert (await server(dial).user(b"a.b.c", "someone")).retry_after == seconds
