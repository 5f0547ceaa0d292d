"""Who is it? The first of the four built-in functions.

A known session costs one keyed hash and two lookups; only an unknown one costs a signature or a call to the auth server.
The decisions are in `core.auth`; here the facts are fetched for them and acted upon.

Keys in the store: `v1:sess:<digest of the token>`, `v1:gone:<session_id>` and `v1:gonesub:<sub>` (tombstones),
`v1:key:<id>`, `v1:gonekey:<id>`. Nothing there, and nothing kept in this process, is a token or a secret.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from hmac import compare_digest
from typing import Final, NamedTuple

from wws.bindings import Env, Services
from wws.core.auth import bearer, session
from wws.core.auth.apikey import KEY_PREFIX, KeyRecord, decode_record, gone_record_key, holds, key_user, parse_key
from wws.core.auth.bearer import read_credential
from wws.core.auth.challenge import challenge_for
from wws.core.auth.digest import Pepper
from wws.core.auth.session import SESSION_PREFIX, Denied, Session, decide, user_of
from wws.core.auth.supabase import RETRY_AFTER
from wws.core.auth.user import User
from wws.core.policy import Route
from wws.errors import Refusal, StoreError
from wws.functions.session_check import Accepted, Refused, SessionCheck
from wws.http import Headers, Request

__all__ = ["AuthResult", "auth_guard", "recognised"]

STATE: Final = "auth_guard"
_MEMO: Final = 8192
"""Records kept decoded: what is read from the store again and again is the same bytes."""
_NEAR: Final = 8192
_SALT: Final = 16
_NEAR_AGE: Final = 5.0
"""Seconds a credential is recognised without a look into the store, while the store says that nothing was taken back. A store
that knows only of what its own process takes back says for how long itself, as `near`."""


class AuthResult(NamedTuple):
    """`valid` with a `user` and the `source` that verified it (`cache`, `jwks`, `origin` or `key`), or a `refusal`.

    The refusal's code is `missing_credential` where no credential was sent; only then may a route go on without a user.
    """

    valid: bool
    user: User | None
    source: str | None
    refusal: Refusal | None


class _Known(NamedTuple):
    """A session's record, decoded, with all that follows from it alone."""

    record: Session | Denied
    gone_key: str | None
    result: AuthResult


class _Near:
    """What was found for a credential just now. It holds from `since` to `until` (wall seconds) while the epoch is the same."""

    __slots__ = ("allowed", "check", "epoch", "result", "since", "until")

    def __init__(self, check: int, epoch: int, since: float, until: float, result: AuthResult) -> None:
        self.check = check
        self.epoch = epoch
        self.since = since
        self.until = until
        self.result = result
        self.allowed: Route | None = None
        """The last route that the credential's scopes were found to be enough for."""


def recognised(request: Request, env: Env) -> AuthResult | None:
    """The result of `auth_guard` where it is known without asking anybody, as it is for all but a caller's first request."""
    wws = env.wws
    guard: _AuthGuard | None = wws.state.get(STATE)
    if guard is None or guard.wws is not wws:
        return None
    near, route = guard.near(request.headers), request.route
    if near is None or route is None or route.fresh_auth is not None:
        return None
    result = near.result
    if near.allowed is route:
        return result
    user = result.user
    if user is not None and user.scopes is not None:
        result = _in_scope(result, user.scopes, route)
    if result.valid:
        near.allowed = route
    return result


async def auth_guard(request: Request, env: Env) -> AuthResult:
    """The verified subject of `request`, or why there is none. Never raises for what a caller or the auth server does."""
    wws = env.wws
    guard: _AuthGuard | None = wws.state.get(STATE)
    if guard is None or guard.wws is not wws:
        guard = guard_of(wws)
    headers, route = request.headers, request.route
    credential = read_credential(headers.raw, headers.first)
    try:
        if credential.kind is bearer.JWT:
            result = await guard.session(credential.token, None if route is None else route.fresh_auth, headers)
        elif credential.kind is bearer.KEY:
            result = await guard.api_key(credential.token, headers)
        else:
            return _refused(credential.code or "missing_credential", message=credential.message)
    except StoreError:
        return _refused("store_unavailable", RETRY_AFTER)
    user = result.user
    return result if user is None or user.scopes is None or route is None else _in_scope(result, user.scopes, route)


def _refused(
    code: str, retry_after: float | None = None, *, message: str | None = None, scopes: tuple[str, ...] = ()
) -> AuthResult:
    return AuthResult(False, None, None, Refusal(code, message, retry_after=retry_after, challenge=challenge_for(code, scopes)))


def _in_scope(result: AuthResult, held: tuple[str, ...], route: Route) -> AuthResult:
    required = route.scopes or (route.to,)
    return result if holds(held, required) else _refused("insufficient_scope", scopes=required)


def guard_of(wws: Services) -> _AuthGuard:
    """The guard of these services; made once."""
    guard: _AuthGuard | None = wws.state.get(STATE)
    if guard is None or guard.wws is not wws:
        guard = wws.state[STATE] = _AuthGuard(wws)
    return guard


class _AuthGuard:
    """The guard of one process: the parts that the configuration fixes, and its memory."""

    __slots__ = (
        "_age", "_check", "_clock", "_epoch", "_hex", "_key_memo", "_kv", "_memo", "_near", "_recheck_after", "_salt",
        "_salt_too", "_time", "wws",
    )  # fmt: skip

    def __init__(self, wws: Services) -> None:
        self.wws = wws
        pepper = Pepper(wws.secrets.pepper)
        self._hex = pepper.hex
        self._kv = wws.kv
        self._clock = wws.clock
        self._time = wws.clock.time
        self._epoch: Callable[[], int] | None = getattr(wws.kv, "epoch", None)
        self._age: float = getattr(wws.kv, "near", _NEAR_AGE)
        self._near: dict[int | str, _Near] = {}
        self._salt = bytes.fromhex(pepper.hex(b"near:1:%d" % id(self)))[:_SALT]
        self._salt_too = bytes.fromhex(pepper.hex(b"near:2:%d" % id(self)))[:_SALT]
        self._recheck_after = wws.policy.auth.recheck_after
        self._check = None if wws.policy.auth.supabase_url is None else SessionCheck(wws, wws.policy.auth.supabase_url)
        self._memo: dict[bytes, _Known] = {}
        self._key_memo: dict[bytes, tuple[KeyRecord, AuthResult]] = {}

    def inherit(self, before: _AuthGuard) -> None:
        """Goes on with the checks of `before`, whose configuration is the same: the keys of the auth server are in them."""
        self._check = before._check

    def near(self, headers: Headers) -> _Near | None:
        """What was found for the request's credential a moment ago.

        The credential itself is not kept: entries are found by two hashes of it under secret salts (SipHash, a keyed function,
        128 bits together), or by its digest where Python's hash is another, whose entries could be guessed.
        """
        epoch = self._epoch
        if epoch is None:
            return None
        first = headers.first
        sent = first.get(b"authorization")
        if sent is None or b"x-api-key" in first or len(first) != len(headers.raw):
            return None
        entry = self._near.get(hash(self._salt + sent) if _KEYED else self._hex(sent))
        if entry is None or entry.epoch != epoch() or (_KEYED and entry.check != hash(self._salt_too + sent)):
            return None
        return entry if entry.since <= self._time() < entry.until else None

    def _remember(self, headers: Headers, epoch: int, until: float, result: AuthResult) -> None:
        """Keeps what the store said while its epoch was `epoch`."""
        sent = headers.first.get(b"authorization")
        if sent is None or self._epoch is None:
            return
        if len(self._near) >= _NEAR:
            self._near.clear()
        now = self._time()
        check = hash(self._salt_too + sent) if _KEYED else 0
        entry = _Near(check, epoch, now, min(until, now + self._age), result)
        self._near[hash(self._salt + sent) if _KEYED else self._hex(sent)] = entry

    async def session(self, token: bytes, fresh_auth: float | None, headers: Headers) -> AuthResult:
        """The result for an access token; `fresh_auth` is the route's. Raises `StoreError`."""
        epoch = 0 if self._epoch is None else self._epoch()
        digest = self._hex(token)
        data = await self._kv.get(SESSION_PREFIX + digest)
        known = None if data is None else self._memo.get(data) or self._decode(data)
        if known is None:
            return await self._first_sight(token, digest, fresh_auth)
        if known.gone_key is not None and await self._kv.get(known.gone_key) is not None:
            return _refused("invalid_api_key")
        record, now = known.record, self._clock.time()
        if isinstance(record, Denied):
            if now < record.until:
                return _refused(record.code)
            return await self._first_sight(token, digest, fresh_auth)
        action = decide(record, now, self._recheck_after, fresh_auth)
        if action == "fresh":
            self._remember(headers, epoch, min(record.until, record.checked_at + self._recheck_after), known.result)
            return known.result
        if action == "expired" or self._check is None:
            return await self._first_sight(token, digest, fresh_auth)
        if action == "recheck" or (action == "wait" and self._check.silent()):
            self._check.behind(token, digest, record)
            return known.result
        outcome = await self._check.again(token, digest, record)
        if action == "wait" and isinstance(outcome, Refused) and not outcome.definite:
            return known.result
        return _result(outcome)

    async def _first_sight(self, token: bytes, digest: str, fresh_auth: float | None) -> AuthResult:
        if self._check is None:
            return _refused("invalid_api_key")
        outcome = await self._check.first(token, digest)
        if fresh_auth is not None and isinstance(outcome, Accepted) and outcome.source != "origin":
            outcome = await self._check.again(token, digest, outcome.session)
        return _result(outcome)

    def _decode(self, data: bytes) -> _Known | None:
        record = session.decode(data)
        if record is None:
            return None
        if isinstance(record, Denied):
            return _Known(record, None, _NOBODY)
        gone_key = None if record.session_id is None else session.gone_key(record.session_id)
        if len(self._memo) >= _MEMO:
            self._memo.clear()
        known = self._memo[data] = _Known(record, gone_key, AuthResult(True, user_of(record, "cache"), "cache", None))
        return known

    async def api_key(self, token: bytes, headers: Headers) -> AuthResult:
        """The result for an API key. Raises `StoreError`."""
        epoch = 0 if self._epoch is None else self._epoch()
        key = parse_key(token)
        if key is None:
            return _refused("invalid_api_key")
        data = await self._kv.get(KEY_PREFIX + key.id)
        if data is None or await self._kv.get(gone_record_key(key.id)) is not None:
            return _refused("invalid_api_key")
        known = self._key_memo.get(data) or self._decode_key(data)
        if known is None:
            return _refused("invalid_api_key")
        record, result = known
        if not compare_digest(self._hex(key.secret), record.hash) or record.id != key.id:
            return _refused("invalid_api_key")
        if record.expires_at is not None and self._clock.time() >= record.expires_at:
            return _refused("invalid_api_key")
        self._remember(headers, epoch, _FOREVER if record.expires_at is None else record.expires_at, result)
        return result

    def _decode_key(self, data: bytes) -> tuple[KeyRecord, AuthResult] | None:
        record = decode_record(data)
        if record is None:
            return None
        if len(self._key_memo) >= _MEMO:
            self._key_memo.clear()
        known = self._key_memo[data] = record, AuthResult(True, key_user(record), "key", None)
        return known


_KEYED: Final = sys.hash_info.algorithm.startswith("siphash")
_FOREVER: Final = float("inf")
_NOBODY: Final = AuthResult(False, None, None, None)


def _result(outcome: Accepted | Refused) -> AuthResult:
    if isinstance(outcome, Refused):
        return _refused(outcome.code, outcome.retry_after)
    return AuthResult(True, user_of(outcome.session, outcome.source), outcome.source, None)
