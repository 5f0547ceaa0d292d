"""What an operator does to credentials: API keys made, listed and revoked; sessions and signing keys purged.

All of it works on the store alone, so it reaches every process that shares the store, from any of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from wws.bindings import KV, Env
from wws.core.auth import apikey, jwt, session
from wws.core.auth.apikey import DEFAULT_SCOPES, ID_BYTES, KEY_PREFIX, SECRET_BYTES, KeyRecord
from wws.core.auth.claims import numeric_date
from wws.core.auth.digest import Pepper
from wws.core.auth.session import SESSION_PREFIX, Denied, Session
from wws.functions.signing_keys import RELOAD_KEY

__all__ = ["create_key", "last_used", "list_keys", "purge_sessions", "reload_signing_keys", "revoke_key"]

_MAX_NAME = 100


async def create_key(
    env: Env,
    name: str,
    scopes: tuple[str, ...] = DEFAULT_SCOPES,
    expires_in: float | None = None,
    *,
    random: Callable[[int], bytes],
) -> tuple[str, str, KeyRecord]:
    """A new API key: its id, its text (to be shown this once) and its record. `random` gives so many random bytes.

    `expires_in` is in seconds, None: never. Raises `ValueError` for a bad name, scope or expiry, and `StoreError`.
    """
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise ValueError(f"the name of a key is 1 to {_MAX_NAME} printable characters")
    if expires_in is not None and not 0 < expires_in < float("inf"):
        raise ValueError("a key expires in more than 0 seconds")
    apikey.check_scopes(scopes)
    wws = env.wws
    key, text = apikey.make_key(random(ID_BYTES), random(SECRET_BYTES))
    now = wws.clock.time()
    digest = Pepper(wws.secrets.pepper).hex(key.secret)
    expires_at = None if expires_in is None else now + expires_in
    record = KeyRecord(key.id, name, digest, tuple(scopes), expires_at, now)
    ttl = None if expires_in is None else max(expires_in, session.MIN_STORED)
    await wws.kv.put(apikey.record_key(key.id), apikey.encode_record(record), ttl, durable=True)
    return key.id, text, record


async def list_keys(env: Env) -> list[KeyRecord]:
    """The keys there are, oldest first; not those revoked. Raises `StoreError`."""
    kv, records = env.wws.kv, []
    async for name in _names(kv, KEY_PREFIX):
        data = await kv.get(name)
        record = None if data is None else apikey.decode_record(data)
        if record is not None and await kv.get(apikey.gone_record_key(record.id)) is None:
            records.append(record)
    return sorted(records, key=lambda record: (record.created_at, record.id))


async def last_used(env: Env, key_id: str) -> float | None:
    """When a key was last used, wall seconds, to within some minutes; None: it never was, as far as is known.

    Raises `StoreError`.
    """
    data = await env.wws.kv.get(apikey.used_key(key_id))
    return float(data) if data is not None and data.isdigit() else None


async def revoke_key(env: Env, key_id: str) -> bool:
    """Ends a key at once and for good; False when there is no such key. Raises `StoreError`.

    The tombstone is what refuses the key: it is durable, and on a store that is consistent only in the end it does not
    depend on every copy having lost the record.
    """
    kv = env.wws.kv
    if await kv.get(apikey.record_key(key_id)) is None or await kv.get(apikey.gone_record_key(key_id)) is not None:
        return False
    await kv.put(apikey.gone_record_key(key_id), session.TOMBSTONE, durable=True)
    await kv.delete(apikey.record_key(key_id))
    await kv.delete(apikey.used_key(key_id))
    return True


async def purge_sessions(
    env: Env, *, token: str | None = None, session_id: str | None = None, subject: str | None = None, everything: bool = False
) -> int:
    """Ends what is cached of sessions, and returns how many entries that were. Raises `StoreError`.

    token       this token is refused from now on
    session_id  every token of the session is, seen before or not
    subject     every session of the subject that is cached is, and every token issued to it until now
    everything  all verdicts are forgotten: each token is verified anew, with signing keys fetched anew

    Raises `ValueError` unless exactly one of the four is given.
    """
    if sum((token is not None, session_id is not None, subject is not None, everything)) != 1:
        raise ValueError("name exactly one of a token, a session, a subject or everything")
    if token is not None:
        return await _purge_token(env, token.encode())
    if everything:
        await reload_signing_keys(env)
    elif session_id is not None:
        await _bury(env, session.gone_key(session_id), session.TOMBSTONE)
    elif subject is not None:
        await _bury(env, session.gone_subject_key(subject), repr(env.wws.clock.time()).encode())
    kv, count = env.wws.kv, 0
    async for name in _names(kv, SESSION_PREFIX):
        data = await kv.get(name)
        record = None if data is None else session.decode(data)
        if isinstance(record, Denied) or not (everything or _is_of(record, session_id, subject)):
            continue  # a refusal stays
        if subject is not None and record is not None and record.session_id is not None:
            await _bury(env, session.gone_key(record.session_id), session.TOMBSTONE)
        await kv.delete(name)
        count += 1
    return count


def _is_of(record: Session | None, session_id: str | None, subject: str | None) -> bool:
    if record is None:
        return False
    return record.sub == subject if session_id is None else record.session_id == session_id


async def reload_signing_keys(env: Env) -> None:
    """Makes every process fetch the signing keys before it verifies another token: for a key revoked in haste.

    Raises `StoreError`.
    """
    mark = repr(env.wws.clock.time()).encode()
    await env.wws.kv.put(RELOAD_KEY, mark, session.MAX_TOKEN_LIFETIME, durable=True)


async def _bury(env: Env, key: str, value: bytes) -> None:
    await env.wws.kv.put(key, value, session.MAX_TOKEN_LIFETIME, durable=True)


async def _purge_token(env: Env, token: bytes) -> int:
    wws = env.wws
    now, key = wws.clock.time(), session.session_key(Pepper(wws.secrets.pepper).hex(token))
    data = await wws.kv.get(key)
    record = None if data is None else session.decode(data)
    if isinstance(record, Session):
        exp = record.exp
    else:
        parsed = jwt.parse_token(token)
        claimed = None if parsed is None else numeric_date(parsed.claims.get("exp"))
        latest = now + session.MAX_TOKEN_LIFETIME
        exp = latest if claimed is None else min(claimed, latest)
    denied = Denied("invalid_api_key", exp + wws.policy.auth.leeway)
    ttl = session.stored_ttl(denied.until, now)
    if ttl is not None:
        await wws.kv.put(key, session.encode(denied), ttl, durable=True)
    return int(isinstance(record, Session))


async def _names(kv: KV, prefix: str) -> AsyncIterator[str]:
    cursor: str | None = None
    while True:
        page = await kv.list(prefix, cursor)
        for name in page.keys:
            yield name
        cursor = page.cursor
        if cursor is None:
            return
