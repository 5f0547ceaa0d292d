"""The credential of a request: found, parsed strictly and told apart by its shape, before anything is looked up.

RFC 6750 section 2.1:
    b64token    = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
    credentials = "Bearer" 1*SP b64token
The scheme is case-insensitive (RFC 9110 section 11.1). A token in the query string is not looked at (RFC 6750 section 2.3
advises against it).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from wws.core.text import record

__all__ = ["JWT", "KEY", "MAX_CREDENTIAL", "NONE", "REFUSED", "Credential", "read_credential"]

MAX_CREDENTIAL: Final = 8 * 1024
"""Bytes of a header value that carries a credential; nginx and node take header lines of 8 KiB and 16 KiB at most."""

NONE, JWT, KEY, REFUSED = "none", "jwt", "key", "refused"

_NO_DOT: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~+/"
_HINT: Final = (
    "This is an API key of Supabase, which names a project and not a user. "
    "Send the access token of the user's session, or an API key of this gateway (wws_...)."
)


_record: Final = record


class Credential(NamedTuple):
    """`kind` is `none`, `jwt` (an unverified token), `key` (an API key in form) or `refused`, then with a `code` and perhaps a
    `message` instead of the code's own."""

    kind: str
    token: bytes = b""
    code: str = ""
    message: str | None = None

    def __repr__(self) -> str:
        return f"Credential({self.kind!r})"  # the token is a secret


ABSENT: Final = Credential(NONE)
MALFORMED: Final = Credential(REFUSED, code="malformed_credential")
UNKNOWN: Final = Credential(REFUSED, code="invalid_api_key")
NOT_A_SESSION: Final = Credential(REFUSED, code="invalid_api_key", message=_HINT)
TWICE: Final = Credential(REFUSED, code="malformed_credential", message="Two different credentials were sent. Send one.")


def read_credential(raw: list[tuple[bytes, bytes]], first: dict[bytes, bytes]) -> Credential:
    """The credential of a request from its header fields `raw` (names in lower case) and their dictionary `first`.

    A field that is there and not acceptable is refused; it never counts as absent, and no other field is tried instead.
    """
    authorization = first.get(b"authorization")
    api_key = first.get(b"x-api-key")
    if authorization is None:
        if api_key is None:
            return ABSENT
        token = api_key
    else:
        if authorization[:7].lower() != b"bearer ":
            return MALFORMED
        token = authorization[7:]
        if token[:1] == b" ":
            token = token.lstrip(b" ")
        if api_key is not None and api_key != token:
            return TWICE
    if len(first) != len(raw) and _repeated(raw):
        return TWICE
    if len(token) > MAX_CREDENTIAL:
        return MALFORMED
    # One pass tells whether all characters are of b64token and how many dots there are: the shape of almost every token.
    left = token.translate(None, _NO_DOT)
    if left == b"..":
        return _record(Credential, JWT, token, "", None)
    if token[:4] == b"wws_" and not left:
        return _record(Credential, KEY, token, "", None)
    return _other(token)


def _repeated(raw: list[tuple[bytes, bytes]]) -> bool:
    names = [name for name, _ in raw]
    return names.count(b"authorization") > 1 or names.count(b"x-api-key") > 1


def _other(token: bytes) -> Credential:
    body = token.rstrip(b"=")
    if not body or body.translate(None, _NO_DOT).strip(b"."):
        return MALFORMED
    return NOT_A_SESSION if token[:3] == b"sb_" else UNKNOWN
