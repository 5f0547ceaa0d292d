"""May this answer be stored, and which of its fields (RFC 9111 section 3)?"""

from __future__ import annotations

from wws.core.cache import vary
from wws.core.cache.directives import Directives
from wws.core.cache.entry import Entry
from wws.core.cache.freshness import Terms
from wws.core.policy import CachePolicy
from wws.core.wire.hygiene import HOP_BY_HOP, nominated

__all__ = ["MAX_BODY", "kept", "refusal", "useless"]

Pair = tuple[bytes, bytes]

MAX_BODY = 1024 * 1024
"""Bytes of the largest body that is stored: pages and API answers fit, downloads pass through."""

# For which a route's policy may state a lifetime that the answer does not: what RFC 9110 section 15.1 lists as
# "heuristically cacheable", without 206 (partial) and 405, 414, 501 (about the request or the server's state).
_UNSTATED = frozenset({200, 203, 204, 300, 301, 308, 404, 410})
# With a lifetime of its own any final status may be stored, but for these: about the credential or the moment, or partial.
_NEVER = frozenset({206, 304, 401, 403, 407, 429})
# RFC 9111 section 3: "if the response contains the must-understand directive, the cache understands the status code".
_UNDERSTOOD = frozenset({200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 410})

# About one exchange or one caller, not about the resource: rate limits (limits state what one caller has left),
# identifiers of a request, timings, and what the gateway says anew (`Age` by RFC 9111 section 5.1).
_OF_ONE_EXCHANGE = frozenset({
    b"age", b"set-cookie", b"set-cookie2", b"ratelimit", b"ratelimit-policy", b"ratelimit-limit", b"ratelimit-remaining",
    b"ratelimit-reset", b"retry-after", b"retry-after-ms", b"x-request-id", b"request-id", b"x-correlation-id",
    b"x-amzn-requestid", b"x-amzn-trace-id", b"cf-ray", b"traceparent", b"server-timing",
})  # fmt: skip
_PREFIXES = (b"x-ratelimit-", b"x-wws-")
_DROPPED = HOP_BY_HOP | _OF_ONE_EXCHANGE


def kept(headers: list[Pair]) -> tuple[Pair, ...]:
    """The fields that are stored: without those of one connection, those that `Connection` names (RFC 9111 section 3.1),
    and those that concern one exchange or caller only. `Content-Length` is left to whoever sends the body."""
    drop = _DROPPED | nominated(headers) if any(name == b"connection" for name, _ in headers) else _DROPPED
    return tuple([(name, value) for name, value in headers if name not in drop and not name.startswith(_PREFIXES)])


def refusal(status: int, headers: list[Pair], directives: Directives, policy: CachePolicy, guarded: bool) -> str | None:
    """Why an answer to GET may not be stored, or None when it may.

    `headers` are all of its fields. `guarded`: the request named a user, and the answer would be kept for others too.
    """
    if directives.no_store and not directives.must_understand:
        return "no-store"
    if directives.must_understand and status not in _UNDERSTOOD:
        return "must-understand"
    if directives.private:  # section 5.2.2.7, and with a list of fields just the same
        return "private"
    if status in _NEVER or status >= 500 or status < 200:
        return "status"
    if not _stated(headers, directives) and (policy.mode != "fixed" or status not in _UNSTATED):
        return "no-lifetime"
    for name, value in headers:
        # Section 7.3: "the presence of the Set-Cookie response header field does not inhibit caching", so a cache that
        # many share has to refuse it by itself.
        if name == b"set-cookie" or name == b"set-cookie2":
            return "set-cookie"
        if name == b"content-type" and value[:17].lower() == b"text/event-stream":
            return "event-stream"
        if name == b"content-range":
            return "partial"
    if vary.names(headers) is None:
        return "vary"
    if guarded and not directives.shareable:
        return "authorization"
    return None


def useless(entry: Entry, terms: Terms) -> bool:
    """Whether an answer that may be stored came too old to be served and cannot be validated either."""
    return not terms.validate and entry.age >= max(terms.fresh, terms.stale, terms.error)


def _stated(headers: list[Pair], directives: Directives) -> bool:
    # Section 3: stored is what has "a public response directive", "an Expires header field", "a max-age response directive",
    # "an s-maxage response directive"; here also no-cache, which states that there is no time of use without asking.
    # `public` alone states no lifetime, and none is guessed.
    return (
        directives.max_age is not None
        or directives.s_maxage is not None
        or directives.no_cache
        or (not directives.targeted and any(name == b"expires" for name, _ in headers))
    )
