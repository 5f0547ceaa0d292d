"""Asking Supabase Auth: about one token, and for its signing keys."""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple

from wws.bindings import Endpoint, Services
from wws.core.auth import jwks, supabase
from wws.core.auth.supabase import MISCONFIGURED, RETRY_AFTER, UNAVAILABLE, Meaning, meaning_of
from wws.core.policy import AuthPolicy, Timeouts
from wws.errors import UpstreamError
from wws.http import Pair, Response, Stream

__all__ = ["Answer", "AuthServer", "BUDGET"]

BUDGET = 5.0
"""Seconds for one exchange with the auth server, from connecting to the last byte."""
_TIMEOUTS = Timeouts(connect=2.0, first_byte=BUDGET, first_token=BUDGET, idle=BUDGET, total=BUDGET)


class Answer(NamedTuple):
    """What the auth server said of a token, and the seconds to wait where there was no telling."""

    meaning: Meaning
    retry_after: float = RETRY_AFTER


class AuthServer:
    """The auth server of the project. `issuer` is the `iss` of its tokens.

    `usable` is False where the address is not https (plain http is for a loopback address only): tokens and keys would
    cross a network that anyone on it can read and answer on.
    """

    __slots__ = ("_endpoint", "_headers", "_keys_target", "_user_target", "_wws", "issuer", "usable")

    def __init__(self, wws: Services, policy: AuthPolicy, url: str) -> None:
        self._wws = wws
        self._endpoint = endpoint = Endpoint(url)
        self.usable = endpoint.scheme == "https" or endpoint.unix is not None or _is_loopback(endpoint.host)
        self.issuer = policy.issuer or f"{url.rstrip('/')}/auth/v1"
        self._user_target = f"{endpoint.base}/auth/v1/user"
        self._keys_target = f"{endpoint.base}/auth/v1/.well-known/jwks.json"
        self._headers: list[Pair] = [(b"accept", b"application/json"), (b"accept-encoding", b"identity"), (b"user-agent", b"wws")]
        if policy.supabase_key:
            self._headers.append((b"apikey", policy.supabase_key.encode()))

    async def user(self, token: bytes, sub: str, budget: float = BUDGET) -> Answer:
        """Whether the auth server takes `token` now, as a token of `sub`. Never raises for what the server does."""
        if not self.usable:
            return Answer(MISCONFIGURED)
        try:
            response, body = await self._get(
                self._user_target, [*self._headers, (b"authorization", b"Bearer " + token)], budget, supabase.MAX_ANSWER
            )
        except UpstreamError:
            return Answer(UNAVAILABLE)
        headers, status = response.headers, response.status
        code = supabase.error_code(headers.get("x-sb-error-code"), body) if status >= 400 else None
        meaning = meaning_of(status, code)
        if meaning.verdict == "valid" and supabase.user_id(body) != sub:
            return Answer(UNAVAILABLE)  # an answer about someone else, from a cache between: it says nothing of this token
        if meaning.verdict == "unavailable":
            return Answer(meaning, supabase.retry_after(headers.get("retry-after")))
        return Answer(meaning)

    async def keys(self) -> tuple[jwks.Key, ...] | None:
        """The signing keys, or None when the server has not answered with a set we can use."""
        if not self.usable:
            return None
        try:
            response, body = await self._get(self._keys_target, list(self._headers), BUDGET, jwks.MAX_BYTES)
        except UpstreamError:
            return None
        return jwks.parse_keys(body) if response.status == 200 else None

    async def _get(self, target: str, headers: list[Pair], budget: float, limit: int) -> tuple[Response, bytes]:
        deadline = self._wws.clock.monotonic() + budget
        response = await self._wws.dial.send(self._endpoint, "GET", target, headers, b"", _TIMEOUTS, deadline)
        return response, await _collect(response.body, limit)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761 section 6.3
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def _collect(body: bytes | Stream, limit: int) -> bytes:
    if isinstance(body, Stream):
        parts, size = [], 0
        async for chunk in body:
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                await body.aclose()
                break
        body = b"".join(parts)
    if len(body) > limit:
        raise UpstreamError(f"the answer is larger than {limit} bytes")
    return body
