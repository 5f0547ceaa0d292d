"""The value of `WWW-Authenticate` for each way a credential can fail: RFC 6750 section 3, RFC 9110 section 11.6.1."""

from __future__ import annotations

__all__ = ["challenge_for"]

_REALM = 'Bearer realm="wws"'
# RFC 6750 section 3.1: a request without credentials is answered without an error code. None of them tells which check failed.
_CHALLENGES: dict[str, str] = {
    "missing_credential": _REALM,
    "malformed_credential": f'{_REALM}, error="invalid_request"',
    "invalid_api_key": f'{_REALM}, error="invalid_token"',
    "insufficient_scope": f'{_REALM}, error="insufficient_scope"',
}


def challenge_for(code: str, scopes: tuple[str, ...] = ()) -> str | None:
    """The challenge of an error code; None where it is not about the credential. `scopes` are those the route requires."""
    challenge = _CHALLENGES.get(code)
    return f'{challenge}, scope="{" ".join(scopes)}"' if challenge is not None and scopes else challenge
