"""Checking an access token for real: at first sight, again while it is in use, and behind a request."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from wws.bindings import Services
from wws.core.auth import session
from wws.core.auth.claims import Claims, check_claims
from wws.core.auth.jwks import ALGORITHMS
from wws.core.auth.jwt import Token, parse_token
from wws.core.auth.session import NEGATIVE_TTL, Denied, Session
from wws.core.auth.supabase import RETRY_AFTER
from wws.errors import Refusal, StoreError
from wws.functions.auth_server import BUDGET, Answer, AuthServer
from wws.functions.flight import Flights
from wws.functions.signing_keys import NoKey, SigningKeys

__all__ = ["Accepted", "Refused", "SessionCheck"]

AGAIN_BUDGET = 3.0
"""Seconds a request that has a verdict to fall back on waits for a newer one."""
PAUSE = 5.0
"""Seconds after the auth server's last failure to answer in which no request waits for it that need not."""
MAX_NEGATIVE = 10_000
"""Refused tokens remembered: about 2 MB at the most, whoever sprays tokens."""
MAX_FLIGHTS = 1024
"""Unknown tokens being checked at one time; more are told to come back rather than queued on the auth server."""
MAX_BEHIND = 64
"""Checks in progress from which on those behind requests are left to a later request."""
MAX_RETRIES = 10_000


class Accepted(NamedTuple):
    """A token that is good, and who said so: `jwks` or `origin`."""

    session: Session
    source: str


class Refused(NamedTuple):
    """A token that is not: `code` for the caller. Not `definite`: there was no telling."""

    code: str
    retry_after: float | None = None
    definite: bool = True


INVALID = Refused("invalid_api_key")
BUSY = Refused("auth_unavailable", 1.0, definite=False)
STORE_DOWN = Refused("store_unavailable", RETRY_AFTER, definite=False)
MISCONFIGURED = Refused("auth_misconfigured", definite=False)


class _Retry(NamedTuple):
    """When a token may be checked behind a request again (monotonic seconds), and how often it failed in a row."""

    at: float
    failures: int


class SessionCheck:
    """Verification by the project's keys or by its auth server, one at a time per token, with the verdicts kept."""

    def __init__(self, wws: Services, url: str) -> None:
        self._wws = wws
        self._policy = wws.policy.auth
        self._server = AuthServer(wws, self._policy, url)
        self._keys = SigningKeys(wws, self._server)
        self._flights: Flights[Accepted | Refused] = Flights(wws)
        self._negative: OrderedDict[str, Denied] = OrderedDict()
        self._retries: OrderedDict[str, _Retry] = OrderedDict()
        self._silent_until = 0.0

    async def first(self, token: bytes, digest: str) -> Accepted | Refused:
        """The verdict on a token that the store does not know."""
        denied = self._negative.get(digest)
        if denied is not None:
            if self._wws.clock.time() < denied.until:
                self._negative.move_to_end(digest)
                return Refused(denied.code)
            del self._negative[digest]
        key = "first:" + digest
        if len(self._flights) >= MAX_FLIGHTS and key not in self._flights:
            return BUSY
        return await self._flights.share(key, lambda: self._first(token, digest))

    async def _first(self, token: bytes, digest: str) -> Accepted | Refused:
        parsed = parse_token(token)
        if parsed is None:
            return INVALID
        policy = self._policy
        claims = check_claims(parsed.claims, self._wws.clock.time(), self._server.issuer, policy.audience, policy.leeway)
        if isinstance(claims, str):
            return INVALID
        if not self._server.usable:
            return MISCONFIGURED
        try:
            if await self._is_gone(claims):
                return INVALID
            # RFC 8725 section 3.2: the algorithms are those the application expects. HS256 has no public key: the auth
            # server, which has the secret, is asked.
            if parsed.alg == "HS256":
                return await self._ask(token, digest, claims)
            if parsed.alg in ALGORITHMS:
                return await self._verify(parsed, digest, claims)
        except StoreError:
            return STORE_DOWN
        return INVALID

    async def _is_gone(self, claims: Claims) -> bool:
        """Whether the token's session has a tombstone, or its subject one that is newer than the token."""
        kv = self._wws.kv
        if claims.session_id is not None and await kv.get(session.gone_key(claims.session_id)) is not None:
            return True
        purged = await kv.get(session.gone_subject_key(claims.sub))
        return purged is not None and session.issued_before(claims.iat, purged)

    async def _verify(self, parsed: Token, digest: str, claims: Claims) -> Accepted | Refused:
        key = await self._keys.find(parsed.alg, parsed.kid)
        if isinstance(key, NoKey):
            if key.retry_after is None:
                return INVALID  # not remembered: the key may be published in a moment
            return Refused("auth_unavailable", key.retry_after, definite=False)
        if not await self._wws.crypto.verify(key.alg, key.jwk, parsed.signed, parsed.signature):
            self._remember(digest, INVALID.code)
            return INVALID
        return await self._accept(digest, claims, "jwks")

    async def _ask(self, token: bytes, digest: str, claims: Claims) -> Accepted | Refused:
        answer = await self._user(token, claims.sub, BUDGET)
        meaning = answer.meaning
        if meaning.verdict == "valid":
            return await self._accept(digest, claims, "origin")
        if meaning.gone:
            await self._bury(claims.session_id, claims.exp)
        if meaning.negative:
            self._remember(digest, meaning.code)
        return _refusal(answer)

    async def _user(self, token: bytes, sub: str, budget: float) -> Answer:
        answer = await self._server.user(token, sub, budget)
        if answer.meaning.verdict == "unavailable":
            self._silent_until = self._wws.clock.monotonic() + PAUSE
        return answer

    def silent(self) -> bool:
        """Whether the auth server has just failed to answer: who has a verdict to fall back on need not wait for another."""
        return self._wws.clock.monotonic() < self._silent_until

    async def _accept(self, digest: str, claims: Claims, source: str) -> Accepted:
        record = session.new_session(claims, self._wws.clock.time(), self._policy.session_ttl, online=source == "origin")
        await self._keep(digest, record)
        return Accepted(record, source)

    async def again(self, token: bytes, digest: str, known: Session) -> Accepted | Refused:
        """The verdict of the auth server, now, on a token that was good at its last check."""
        return await self._flights.share("again:" + digest, lambda: self._again(token, digest, known, AGAIN_BUDGET))

    async def _again(self, token: bytes, digest: str, known: Session, budget: float) -> Accepted | Refused:
        answer = await self._user(token, known.sub, budget)
        meaning, now = answer.meaning, self._wws.clock.time()
        if meaning.verdict == "valid":
            record = session.recheck(known, now, self._policy.session_ttl)
            if await self._still_good(digest):
                await self._keep(digest, record)
            return Accepted(record, "origin")
        if meaning.gone:
            await self._bury(known.session_id, known.exp)
        if meaning.negative:
            # To the end of the token, not for the 60 s of a token never accepted: after those a locally verifiable token
            # would be taken for new and good.
            await self._keep(digest, Denied(meaning.code, known.exp + self._policy.leeway))
        return _refusal(answer)

    async def _still_good(self, digest: str) -> bool:
        """Whether the store still has the verdict: a purge during the check must stand."""
        try:
            data = await self._wws.kv.get(session.session_key(digest))
        except StoreError:
            return False
        return data is not None and isinstance(session.decode(data), Session)

    def behind(self, token: bytes, digest: str, known: Session) -> None:
        """Checks a token after the request that is served from its verdict, unless that was tried just now."""
        now = self._wws.clock.monotonic()
        retry = self._retries.get(digest)
        if (retry is not None and now < retry.at) or len(self._flights) >= MAX_BEHIND:
            return
        failures = 0 if retry is None else retry.failures
        self._plan_retry(digest, _Retry(now + 2 * BUDGET, failures))  # nobody else meanwhile
        self._wws.background(self._behind(token, digest, known, failures))

    async def _behind(self, token: bytes, digest: str, known: Session, failures: int) -> None:
        key = "again:" + digest
        outcome = await self._flights.share(key, lambda: self._again(token, digest, known, BUDGET))
        if isinstance(outcome, Accepted) or outcome.definite:
            self._retries.pop(digest, None)
            return
        pause = session.backoff(failures + 1, self._policy.recheck_after)
        self._plan_retry(digest, _Retry(self._wws.clock.monotonic() + pause, failures + 1))
        if outcome.code == MISCONFIGURED.code:
            raise Refusal(outcome.code)  # the host logs what fails behind a request: the operator must hear of this one

    def _plan_retry(self, digest: str, retry: _Retry) -> None:
        self._retries[digest] = retry
        if len(self._retries) > MAX_RETRIES:
            self._retries.popitem(last=False)

    def _remember(self, digest: str, code: str) -> None:
        self._negative[digest] = Denied(code, self._wws.clock.time() + NEGATIVE_TTL)
        if len(self._negative) > MAX_NEGATIVE:
            self._negative.popitem(last=False)

    async def _keep(self, digest: str, record: Session | Denied) -> None:
        ttl = session.stored_ttl(record.until, self._wws.clock.time())
        if ttl is None:
            return
        try:
            # A refusal takes back what other processes may know: it is written as such.
            await self._wws.kv.put(session.session_key(digest), session.encode(record), ttl, durable=isinstance(record, Denied))
        except StoreError:
            return  # the verdict stands without being kept: it did not come from the store

    async def _bury(self, session_id: str | None, exp: float) -> None:
        """Writes a session's tombstone."""
        if session_id is None:
            return
        ttl = session.gone_ttl(exp, self._wws.clock.time(), self._policy.leeway)
        try:
            await self._wws.kv.put(session.gone_key(session_id), session.TOMBSTONE, ttl, durable=True)
        except StoreError:
            return  # this token is refused all the same


def _refusal(answer: Answer) -> Refused:
    match answer.meaning.verdict:
        case "refused":
            # Where Supabase saw no token at all, there is nothing definite about this one.
            return Refused(answer.meaning.code, definite=answer.meaning.negative)
        case "misconfigured":
            return MISCONFIGURED
        case _:
            return Refused("auth_unavailable", answer.retry_after, definite=False)
