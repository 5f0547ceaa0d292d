"""A stand-in for a project's Supabase Auth: real sockets on the loopback, real keys made at test time, its real answers.

    async with Supabase() as supabase:
        token = supabase.mint(sub="...", session_id="...")
        supabase.logout("...")            # GET /auth/v1/user then says session_not_found
        supabase.mode = "down"            # and now 503 to everything
        assert supabase.calls["user"] == 1

Answers and codes: supabase.com/docs/guides/auth/debugging/error-codes, internal/api/errors.go of supabase/auth.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import uuid
from collections import Counter
from functools import cache
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from wws.bindings import Clock, SystemClock

Mode = Literal["ok", "down", "busy", "reset", "slow", "garbage", "no_bearer"]
"""ok         as the state of users and sessions says
down       503 to everything
busy       429 `over_request_rate_limit` with `Retry-After: 7`
reset      the connection is reset instead of an answer
slow       no answer until `release()`
garbage    200 with a body that is not JSON
no_bearer  401 `no_authorization`, as if a proxy had dropped the header"""

_FORMATS: dict[str, Any] = {
    "ES256": jwt.algorithms.ECAlgorithm,
    "RS256": jwt.algorithms.RSAAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}
SHARED_SECRET = "the-legacy-jwt-secret-of-the-project-at-least-32-bytes"


def private_key(alg: str, name: str = "") -> Any:
    """A key for `alg`, made once in a test run; another `name` is another key."""
    return _made_once(alg, name)


@cache
def _made_once(alg: str, name: str) -> Any:
    makers: dict[str, Any] = {
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "HS256": lambda: SHARED_SECRET + name,
    }
    return makers[alg]()


def public_jwk(alg: str, kid: str | None = None, name: str = "") -> dict[str, Any]:
    """The public key of `private_key(alg, name)` as Supabase lists it."""
    jwk = json.loads(_FORMATS[alg].to_jwk(private_key(alg, name).public_key()))
    return {**jwk, "alg": alg, "kid": kid or f"kid-{alg}", "use": "sig", "key_ops": ["verify"]}


class Supabase:
    """The auth server of one project.

    `keys` is what the JWKS endpoint lists (empty for a project of the shared secret). `calls` counts requests by `user`,
    `jwks` and `other`; `requests` holds their header fields, latest last.
    """

    publishable_key = "sb_publishable_test"

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.mode: Mode = "ok"
        self.calls: Counter[str] = Counter()
        self.requests: list[dict[str, str]] = []
        self.keys: list[dict[str, Any]] = [public_jwk(alg) for alg in ("ES256", "RS256", "EdDSA")]
        self.url = ""
        self._gone_sessions: set[str] = set()
        self._gone_users: set[str] = set()
        self._banned: set[str] = set()
        self._released = asyncio.Event()
        self._arrived = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def issuer(self) -> str:
        return f"{self.url}/auth/v1"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Closes the listener and every connection: from here on nobody answers at `url`."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def __aenter__(self) -> Supabase:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def claims(self, **claims: Any) -> dict[str, Any]:
        """The claims of an access token, as Supabase writes them; a claim given as None is left out."""
        now = int(self.clock.time())
        every = {
            "iss": self.issuer,
            "sub": str(uuid.uuid4()),
            "aud": "authenticated",
            "exp": now + 3600,
            "iat": now,
            "email": "someone@example.com",
            "phone": "",
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": {"role": "admin"},
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{"method": "password", "timestamp": now}],
            "session_id": str(uuid.uuid4()),
            "is_anonymous": False,
            **claims,
        }
        return {name: value for name, value in every.items() if value is not None}

    def mint(
        self, alg: str = "ES256", *, key: str = "", kid: str | None = None, headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A signed access token. `key` names another key than the project's; `headers` are merged into the JOSE header."""
        header = {"kid": kid or f"kid-{alg}", "typ": "JWT", **(headers or {})}
        return jwt.encode(self.claims(**claims), private_key(alg, key), algorithm=alg, headers=header)

    def anon_key(self, role: str = "anon") -> str:
        """The project's legacy `anon` (or `service_role`) key: a JWT with a good signature that is no user."""
        now = int(self.clock.time())
        claims = {"iss": "supabase", "ref": "project", "role": role, "iat": now, "exp": now + 315_360_000}
        return jwt.encode(claims, SHARED_SECRET, algorithm="HS256")

    def logout(self, session_id: str) -> None:
        self._gone_sessions.add(session_id)

    def delete_user(self, sub: str) -> None:
        self._gone_users.add(sub)

    def ban(self, sub: str) -> None:
        self._banned.add(sub)

    def release(self) -> None:
        """Lets the answers go that the mode `slow` holds back."""
        self._released.set()

    async def until(self, kind: str, count: int) -> None:
        """Waits until `count` requests of this kind have arrived."""
        while self.calls[kind] < count:
            self._arrived.clear()
            await self._arrived.wait()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                request, *lines = head.rstrip("\r\n").split("\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                self.requests.append(fields)
                answer = await self._answer(request.split(" ")[1], fields)
                if answer is None:
                    # SO_LINGER with zero seconds: close() sends RST
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except asyncio.CancelledError:
            if self._server is None or self._server.is_serving():
                raise
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, path: str, fields: dict[str, str]) -> bytes | None:
        kind = {"/auth/v1/user": "user", "/auth/v1/.well-known/jwks.json": "jwks"}.get(path, "other")
        self.calls[kind] += 1
        self._arrived.set()
        if self.mode == "slow":
            await self._released.wait()
        match self.mode:
            case "reset":
                return None
            case "down":
                return _http(503, b"upstream connect error", "text/plain")
            case "busy":
                return _error(429, "over_request_rate_limit", "Request rate limit reached", "retry-after: 7\r\n")
            case "garbage":
                return _http(200, b"<!doctype html>", "text/html")
        if kind == "jwks":
            return _http(200, json.dumps({"keys": self.keys}).encode(), extra="cache-control: public, max-age=600\r\n")
        if fields.get("apikey") != self.publishable_key:
            return _http(401, json.dumps({"message": "Invalid API key", "hint": "Double check your API key."}).encode())
        return self._user(fields.get("authorization", "")) if kind == "user" else _error(404, "not_found", "not found")

    def _user(self, authorization: str) -> bytes:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or self.mode == "no_bearer":
            return _error(401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            alg = jwt.get_unverified_header(token)["alg"]
            key = SHARED_SECRET if alg == "HS256" else private_key(alg).public_key()
            off = {"verify_exp": False, "verify_aud": False, "verify_iat": False, "verify_nbf": False}
            claims = jwt.decode(token, key, algorithms=[alg], options=off)  # type: ignore[arg-type]
        except (jwt.InvalidTokenError, KeyError):
            return _error(403, "bad_jwt", "invalid JWT: unable to parse or verify signature")
        if claims.get("exp", 0) <= self.clock.time():
            return _error(403, "bad_jwt", "invalid JWT: token is expired")
        if "sub" not in claims:
            return _error(403, "bad_jwt", "invalid claim: missing sub claim")
        if claims.get("aud") != "authenticated":
            return _error(400, "validation_failed", "Requested audience does not match")
        if claims["sub"] in self._gone_users:
            return _error(403, "user_not_found", "User from sub claim in JWT does not exist")
        if claims.get("session_id") in self._gone_sessions:
            return _error(403, "session_not_found", "Session from session_id claim in JWT does not exist")
        if claims["sub"] in self._banned:
            return _error(403, "user_banned", "User is banned")
        user = {"id": claims["sub"], "aud": "authenticated", "role": claims["role"], "email": claims.get("email", "")}
        return _http(200, json.dumps(user).encode())


def _http(status: int, body: bytes, kind: str = "application/json", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def _error(status: int, code: str, message: str, extra: str = "") -> bytes:
    body = json.dumps({"code": status, "error_code": code, "msg": message}).encode()
    return _http(status, body, extra=f"x-sb-error-code: {code}\r\n{extra}")
