"""Which web pages of other origins may read an answer, and what they see of it: CORS (WHATWG Fetch, sections 3.2.1 to 3.2.5).

An origin is allowed by its serialisation (`https://app.example`, a port where it is not the scheme's), by a pattern for its
subdomains (`https://*.app.example`), or by `*`, which is every page there is. Answers never carry
`Access-Control-Allow-Credentials`: credentials here are bearer tokens, which the page itself adds, not cookies.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ANY", "EXPOSED", "allowed", "lines", "own", "preflight"]

Pair = tuple[bytes, bytes]
ANY: Final = "*"
EXPOSED: Final = (
    "cache-status, ratelimit, ratelimit-policy, retry-after, retry-after-ms, server-timing, x-ratelimit-limit-requests, "
    "x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-request-id, x-should-retry, x-wws-attempts, x-wws-cache, "
    "x-wws-degraded, x-wws-fallback, x-wws-model, x-wws-provider, x-wws-route-reason, x-wws-warning"
)
"""The answer's fields that a page may read, beside those that Fetch allows always."""
_MAX_AGE: Final = b"7200"  # seconds a browser may remember; Chromium remembers no longer
_TOKENS: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz, ")
_HOST: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")


def allowed(origins: tuple[str, ...], origin: bytes | None) -> bytes | None:
    """The value of Access-Control-Allow-Origin for a request from `origin`; None: it may not read the answer."""
    if origin is None:
        return None
    text = origin.decode("latin-1")
    for pattern in origins:
        if pattern == ANY:
            return b"*"
        if pattern == text or _is_below(pattern, text):
            return origin
    return None


def _is_below(pattern: str, origin: str) -> bool:
    """Whether a pattern with `*.` in front of its host takes the origin: one label or more in the place of the star."""
    scheme, star, domain = pattern.partition("*")
    if not star or not origin.startswith(scheme) or not origin.endswith(domain):
        return False
    label = origin[len(scheme) : len(origin) - len(domain)]
    return bool(label) and label[0] not in "-." and label[-1] not in "-." and _HOST.issuperset(label)


def lines(origins: tuple[str, ...], origin: bytes | None) -> str:
    """The header lines of an answer, each ending in CRLF.

    `Vary: Origin` stands in every answer that depends on it, to other origins and to none as well: what a cache keeps of one
    would be taken for another's (Fetch, section 3.2.5, "CORS protocol and HTTP caches").
    """
    vary = "" if ANY in origins else "vary: origin\r\n"
    value = allowed(origins, origin)
    if value is None:
        return vary
    return f"access-control-allow-origin: {value.decode('latin-1')}\r\naccess-control-expose-headers: {EXPOSED}\r\n{vary}"


def preflight(origins: tuple[str, ...], origin: bytes, method: bytes, fields: bytes | None) -> list[Pair] | None:
    """The fields of the answer to a preflight request for `method` with the request fields named in `fields`, both as the
    browser sent them. None: the origin is not allowed, or what was sent are no tokens."""
    value = allowed(origins, origin)
    if value is None or not method or not _TOKENS.issuperset(method) or not _TOKENS.issuperset(fields or b""):
        return None
    headers: list[Pair] = [
        (b"access-control-allow-origin", value),
        (b"access-control-allow-methods", method),
        (b"access-control-max-age", _MAX_AGE),
        (b"vary", b"origin, access-control-request-method, access-control-request-headers"),
    ]
    if fields:
        headers.append((b"access-control-allow-headers", fields))
    return headers


def own(name: bytes) -> bool:
    """Whether a field of an answer is CORS's own: where a route says who may read it, nobody behind it does as well."""
    return name.startswith(b"access-control-")
