"""Which header fields cross the gateway, in each direction (RFC 9110 section 7.6.1).

Towards the origin everything passes but what concerns one connection only, what claims an identity, and what claims to
be a proxy's word; our own fields are added afterwards, so that nothing a client names in `Connection` can remove them.
"""

from __future__ import annotations

from typing import Final

Pair = tuple[bytes, bytes]

# RFC 9110 section 7.6.1 and the fields that frame a message: each side has its own.
HOP_BY_HOP: Final = frozenset({
    b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"content-length", b"expect",
    b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"proxy-authentication-info", b"http2-settings",
})  # fmt: skip

# What a client may not tell the origin: who it is, where it comes from, or another path or method than was checked.
CLAIMS: Final = frozenset({
    b"x-user-id", b"x-user-role", b"x-user-aal", b"x-user-session", b"x-key-id", b"x-user-email", b"x-authenticated-user",
    b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-prefix",
    b"x-forwarded-server", b"x-real-ip", b"forwarded", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip",
    b"cf-connecting-ip", b"x-original-url", b"x-rewrite-url", b"x-original-host", b"x-http-method-override",
    b"x-http-method", b"x-method-override", b"x-request-id", b"host",
})  # fmt: skip

# Fields a client may not have dropped by naming them in Connection (hop-by-hop abuse).
_NOT_NOMINABLE: Final = frozenset({b"host", b"authorization", b"cache-control", b"cookie", b"content-type"})

_DROPPED: Final = HOP_BY_HOP | CLAIMS
# From an origin: framing and hop-by-hop, and the names that are ours to say.
_DROPPED_BACK: Final = HOP_BY_HOP | {b"x-request-id"}


def nominated(headers: list[Pair]) -> frozenset[bytes]:
    """The fields that every `Connection` there is declares hop-by-hop beside the usual ones, as far as it may."""
    low = b",".join([value for name, value in headers if name == b"connection"]).lower()
    if low == b"keep-alive" or low == b"close":
        return frozenset()
    names = {name.strip() for name in low.split(b",")} - _NOT_NOMINABLE - HOP_BY_HOP
    return frozenset(name for name in names if not name.startswith(b"x-forwarded-"))


def to_origin(headers: list[Pair], connection: bytes | None) -> list[Pair]:
    """The client's fields that the origin may see; ours are added by the caller. `connection` None: there is no such field."""
    drop = _DROPPED
    if connection is not None and (named := nominated(headers)):
        drop = drop | named
    return [pair for pair in headers if pair[0] not in drop]


def from_upstream(headers: list[Pair], connection: bytes | None) -> list[Pair]:
    """The answer's fields that the client may see. `connection` None: there is no such field."""
    drop = _DROPPED_BACK
    if connection is not None and (named := nominated(headers)):
        drop = drop | named
    return [pair for pair in headers if pair[0] not in drop]


# From an AI provider: an allow-list, since the rest may name accounts, set cookies or describe another framing.
_FROM_PROVIDER: Final = frozenset({b"content-type", b"content-encoding", b"openai-processing-ms", b"anthropic-version"})


def from_provider(headers: list[Pair]) -> list[Pair]:
    """The fields of a provider's answer that the caller may see."""
    return [pair for pair in headers if pair[0] in _FROM_PROVIDER]
