"""API keys for machines: `wws_live_<id>_<secret>_<crc>`.

The typed prefix lets scanners find a key that leaked, and the checksum refuses a typing error without a lookup (the form of
GitHub's tokens: github.blog/2021-04-05-behind-githubs-new-authentication-token-formats). The secret has 192 random bits, so a
keyed digest of it may be stored without the slowness that passwords need.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from zlib import crc32

from wws import codec
from wws.core.auth.user import User

__all__ = [
    "DEFAULT_SCOPES",
    "GONE_KEY_PREFIX",
    "ID_BYTES",
    "KEY_PREFIX",
    "SECRET_BYTES",
    "USED_KEY_PREFIX",
    "ApiKey",
    "KeyRecord",
    "check_scopes",
    "decode_record",
    "encode_record",
    "gone_record_key",
    "holds",
    "key_user",
    "make_key",
    "parse_key",
    "record_key",
    "used_key",
]

KEY_PREFIX: Final = "v1:key:"
GONE_KEY_PREFIX: Final = "v1:gonekey:"
USED_KEY_PREFIX: Final = "v1:keyused:"
ID_BYTES: Final = 8
SECRET_BYTES: Final = 24
DEFAULT_SCOPES: Final = ("ai", "origin", "function")
EVERYTHING: Final = "*"

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_CHARS: Final = 11  # 62**11 > 2**64
_SECRET_CHARS: Final = 33  # 62**33 > 2**192
_CRC_CHARS: Final = 8
_UNDERSCORE: Final = 0x5F
_START: Final = b"wws_live_"
_LENGTH: Final = len(_START) + _ID_CHARS + 1 + _SECRET_CHARS + 1 + _CRC_CHARS
_ID_END: Final = len(_START) + _ID_CHARS
_SECRET_END: Final = _ID_END + 1 + _SECRET_CHARS


class ApiKey(NamedTuple):
    """An API key in form: nothing about it has been looked up."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"ApiKey(id={self.id!r})"


class KeyRecord(NamedTuple):
    """What is stored of a key; `hash` is the keyed digest of its secret in hexadecimal. Times are wall seconds."""

    id: str
    name: str
    hash: str
    scopes: tuple[str, ...]
    expires_at: float | None
    created_at: float


def _base62(data: bytes, length: int) -> str:
    number, digits = int.from_bytes(data, "big"), []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def make_key(random_id: bytes, random_secret: bytes) -> tuple[ApiKey, str]:
    """A new key and its text, from 8 and 24 random bytes. Raises `ValueError` for fewer or more."""
    if len(random_id) != ID_BYTES or len(random_secret) != SECRET_BYTES:
        raise ValueError(f"an API key is made of {ID_BYTES} and {SECRET_BYTES} random bytes")
    key_id, secret = _base62(random_id, _ID_CHARS), _base62(random_secret, _SECRET_CHARS)
    text = f"{_START.decode()}{key_id}_{secret}"
    return ApiKey(key_id, secret.encode()), f"{text}_{crc32(text.encode()):08x}"


def parse_key(token: bytes) -> ApiKey | None:
    """The parts of a key whose form and checksum are right, else None."""
    if len(token) != _LENGTH or token[:9] != _START or token[_SECRET_END:] != b"_%08x" % crc32(token[:_SECRET_END]):
        return None
    key_id = token[9:_ID_END]
    if not key_id.isalnum() or token[_ID_END] != _UNDERSCORE:  # it becomes part of a store key; the secret is only hashed
        return None
    return ApiKey(key_id.decode(), token[_ID_END + 1 : _SECRET_END])


def record_key(key_id: str) -> str:
    """The store's key of a record."""
    return KEY_PREFIX + key_id


def used_key(key_id: str) -> str:
    """The store's key of when a key was last used: wall seconds as text."""
    return USED_KEY_PREFIX + key_id


def gone_record_key(key_id: str) -> str:
    """The store's key of a revoked key's tombstone."""
    return GONE_KEY_PREFIX + key_id


def encode_record(record: KeyRecord) -> bytes:
    """The record for the store."""
    return codec.encode(record._asdict())


def decode_record(data: bytes) -> KeyRecord | None:
    """The record that `encode_record` made; None for anything else."""
    try:
        members = codec.decode(data)
        known = {name: members[name] for name in KeyRecord._fields}
        return KeyRecord(**{**known, "scopes": tuple(known["scopes"])})
    except (KeyError, TypeError, ValueError):
        return None


def key_user(record: KeyRecord) -> User:
    """The subject that a key stands for."""
    return User(
        id=f"key:{record.id}",
        role="api_key",
        source="key",
        key_id=record.id,
        scopes=record.scopes,
        expires_at=record.expires_at,
    )


def holds(held: tuple[str, ...] | None, required: tuple[str, ...]) -> bool:
    """Whether `held` scopes allow what requires all of `required`. None is a session, which scopes do not restrict."""
    if held is None or EVERYTHING in held:
        return True
    # A generator would cost more than the one or two turns of this loop.
    for scope in required:  # noqa: SIM110
        if scope not in held:
            return False
    return True


def check_scopes(scopes: tuple[str, ...]) -> None:
    """Raises `ValueError` for what is no list of scopes.

    RFC 6750 section 3: scope-token is %x21 / %x23-5B / %x5D-7E, which is visible ASCII but for the quote and the backslash.
    """
    if not scopes:
        raise ValueError("a key without a scope allows nothing: name at least one, or *")
    for scope in scopes:
        if not scope or any(not "!" <= char <= "~" or char in '"\\' for char in scope):
            raise ValueError(f"{scope!r} is not a scope: use visible ASCII without quotes, backslashes and spaces")
