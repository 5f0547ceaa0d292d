"""What Supabase Auth's answer to `GET /auth/v1/user` means.

Codes: supabase.com/docs/guides/auth/debugging/error-codes. Supabase says 403 of a token that RFC 6750 section 3.1 wants
called `invalid_token` with 401, so its answers are translated and never relayed.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from wws import codec

__all__ = ["MAX_ANSWER", "RETRY_AFTER", "Meaning", "error_code", "meaning_of", "retry_after", "user_id"]

RETRY_AFTER = 5.0
"""Seconds a caller is asked to wait where the auth server names none."""
MAX_RETRY_AFTER = 60.0
MAX_ANSWER = 1024 * 1024
"""Bytes of an answer; `user_metadata` is the user's to fill."""


class Meaning(NamedTuple):
    """`verdict`: valid, refused (with the `code` for the caller), unavailable (no telling) or misconfigured (our own key or
    address is wrong). `negative`: the refusal may be remembered. `gone`: the whole session is at an end."""

    verdict: Literal["valid", "refused", "unavailable", "misconfigured"]
    code: str = ""
    negative: bool = False
    gone: bool = False


VALID = Meaning("valid")
UNAVAILABLE = Meaning("unavailable", "auth_unavailable")
MISCONFIGURED = Meaning("misconfigured", "auth_misconfigured")
_INVALID = "invalid_api_key"
_REFUSED = Meaning("refused", _INVALID, negative=True)

# By Supabase's own code, on any 4xx.
_CODES: dict[str, Meaning] = {
    "no_authorization": Meaning("refused", _INVALID),  # about the request that arrived, not about the token
    "bad_jwt": _REFUSED,
    "validation_failed": _REFUSED,  # of another audience
    "session_not_found": Meaning("refused", _INVALID, negative=True, gone=True),
    "session_expired": Meaning("refused", _INVALID, negative=True, gone=True),
    "user_not_found": Meaning("refused", _INVALID, negative=True, gone=True),
    "user_banned": Meaning("refused", "user_banned", negative=True),
    "over_request_rate_limit": UNAVAILABLE,
}
# By status, where there is none of those codes. A 401 then comes from the API gateway in front and is about `apikey`; 404,
# 405 and 410 say that there is no auth server at the address. Anything else may be a firewall's word and tells nothing.
_STATUSES: dict[int, Meaning] = {200: VALID, 401: MISCONFIGURED, 404: MISCONFIGURED, 405: MISCONFIGURED, 410: MISCONFIGURED}


def meaning_of(status: int, code: str | None) -> Meaning:
    """The meaning of an answer with this status and error code (None when it carries none)."""
    if code is not None and 400 <= status < 500:
        known = _CODES.get(code)
        if known is not None:
            return known
        if status == 403:
            return _REFUSED  # a refusal for a reason that is newer than this table
    return _STATUSES.get(status, UNAVAILABLE)


def _members(body: bytes) -> dict[str, Any]:
    try:
        document = codec.decode(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def error_code(header: str | None, body: bytes) -> str | None:
    """The error code of an answer: of `x-sb-error-code`, else the body's `error_code`, else its `code` if that is text."""
    if header:
        return header
    document = _members(body)
    for name in ("error_code", "code"):
        if isinstance(value := document.get(name), str) and value:
            return value
    return None


def user_id(body: bytes) -> str | None:
    """The `id` of the user in a 200 answer, which must be the token's `sub`."""
    value = _members(body).get("id")
    return value if isinstance(value, str) else None


def retry_after(header: str | None) -> float:
    """Seconds to ask the caller to wait, from the `Retry-After` of a busy auth server, within 1 to 60."""
    if header is not None and header.isascii() and header.isdigit():
        return min(max(float(header[:9]), 1.0), MAX_RETRY_AFTER)
    return RETRY_AFTER
