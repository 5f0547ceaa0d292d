"""A gateway's auth guard in front of a stand-in Supabase, with a clock that stands still."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.clock import FakeClock
from tests.support.dial import SocketDial
from tests.support.services import Background, make_env
from tests.support.supabase import Supabase
from wws.bindings import KV, Dial, Env, KeyPage
from wws.core.policy import AuthPolicy, Policy, Route
from wws.errors import StoreError
from wws.functions.auth_guard import AuthResult, auth_guard, recognised
from wws.hosts.server.crypto import CryptographyVerifier
from wws.http import Request

AI = Route("/v1/*", "ai", auth="required")


class BrokenStore:
    """A KV that fails in the operations named."""

    def __init__(self, kv: KV, *operations: str) -> None:
        self.kv = kv
        self.operations = set(operations)

    def _check(self, operation: str) -> None:
        if operation in self.operations:
            raise StoreError("the store is gone")

    async def get(self, key: str) -> bytes | None:
        self._check("get")
        return await self.kv.get(key)

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        self._check("put")
        await self.kv.put(key, value, expiration_ttl, durable=durable)

    async def delete(self, key: str) -> None:
        self._check("delete")
        await self.kv.delete(key)

    async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> KeyPage:
        self._check("list")
        return await self.kv.list(prefix, cursor, limit)


class World:
    """`ask` sends a credential through the guard; `background` holds what runs behind the requests."""

    def __init__(self, supabase: Supabase | None, clock: FakeClock, dial: Dial | None = None, **policy: Any) -> None:
        self.clock = clock
        self.background = Background()
        self.dial = dial or SocketDial()
        auth = AuthPolicy(supabase_key=Supabase.publishable_key, supabase_url=None if supabase is None else supabase.url)
        self.env: Env = make_env(
            Policy(auth=replace(auth, **policy)),
            clock,
            dial=self.dial,
            crypto=CryptographyVerifier(),
            background=self.background,
        )
        self.kv: KV = self.env.wws.kv

    def restart(self) -> None:
        """What a new process would start with: the store, and nothing in memory."""
        self.env.wws.state.clear()

    async def ask(self, token: str | None = None, route: Route | None = AI, **headers: str) -> AuthResult:
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        request = Request("POST", "/v1/chat/completions", {name.replace("_", "-"): value for name, value in headers.items()})
        request.route = route
        known = recognised(request, self.env)  # as the gateway does it
        return known if known is not None and known.valid else await auth_guard(request, self.env)

    async def stored(self) -> dict[str, bytes]:
        """Everything in the store."""
        page = await self.kv.list()
        return {key: await self.kv.get(key) or b"" for key in page.keys}


def code(result: AuthResult) -> str:
    """`source` of a user, or the code and status of a refusal: `cache`, `401 invalid_api_key`."""
    if result.refusal is None:
        assert result.valid and result.user is not None and result.source is not None
        assert result.user.source == result.source
        return result.source
    assert not result.valid and result.user is None and result.source is None
    return f"{result.refusal.row.status} {result.refusal.code}"
