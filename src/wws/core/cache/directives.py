"""The cache directives of a response: `Cache-Control` (RFC 9111 section 5.2) or, where it is there, `CDN-Cache-Control`
(RFC 9213), which replaces it and `Expires` for a gateway's cache."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["MAX_FIELD", "MOST_SECONDS", "Directives", "in_force", "parse", "parse_targeted", "seconds"]

Pair = tuple[bytes, bytes]

MOST_SECONDS = 2**31
"""RFC 9111 section 1.2.2: a greater delta-seconds is taken as 2147483648."""

MAX_FIELD = 1024
"""Bytes of the longest field that is read; a real one has under 300. A longer one counts as no-store: reading it would cost
time that grows with the square of its length, and it may hide any directive."""

# cache-directive = token [ "=" ( token / quoted-string ) ]; anything else between two commas is skipped.
_DIRECTIVE = re.compile(
    rb"[ \t]*(?:(?P<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)"
    rb'(?:=(?:(?P<token>[!#$%&\'*+\-.^_`|~0-9A-Za-z]+)|"(?P<quoted>(?:[^"\\]|\\.)*)"))?[ \t]*(?=,|$))?'
    rb'(?P<junk>(?:"(?:[^"\\]|\\.)*"|[^,])*)(?:,|$)',
    re.DOTALL,
)


class Directives(NamedTuple):
    """What a response says about its caching. Durations are whole seconds, None where nothing is said.

    `targeted` tells that they come from `CDN-Cache-Control`, so that `Expires` does not count.
    """

    no_store: bool = False
    no_cache: bool = False
    private: bool = False
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    targeted: bool = False

    @property
    def shareable(self) -> bool:
        """RFC 9111 section 3.5: "must-revalidate, public, and s-maxage" let a shared cache reuse the answer to a request
        with `Authorization`."""
        return self.public or self.must_revalidate or self.s_maxage is not None

    @property
    def forbids_stale(self) -> bool:
        """RFC 9111 section 4.2.4: a stale answer is never served under no-cache, must-revalidate, an applicable s-maxage
        or proxy-revalidate."""
        return self.no_cache or self.must_revalidate or self.proxy_revalidate or self.s_maxage is not None


def parse(values: Iterable[bytes]) -> dict[bytes, bytes | None]:
    """The directives of the field's lines by lower-case name: their argument, None without one. Never raises.

    Of a directive that repeats the first counts (RFC 9111 section 4.2.1). An argument that is neither token nor
    quoted string is kept as `b""`, which no number is, so that a mangled lifetime means stale.
    """
    found: dict[bytes, bytes | None] = {}
    for value in values:
        at = 0
        while at < len(value):
            match = _DIRECTIVE.match(value, at)
            if match is None or match.end() == at:
                break
            at = match.end()
            name = match["name"]
            if name is None:
                name, equals, _ = match["junk"].strip().partition(b"=")
                if equals:
                    found.setdefault(name.strip().lower(), b"")
                continue
            argument = match["token"]
            if match["quoted"] is not None:
                argument = re.sub(rb"\\(.)", rb"\1", match["quoted"], flags=re.DOTALL)
            found.setdefault(name.lower(), argument)
    return found


# RFC 9651 section 3.2: dictionaries, and the bare items of section 3.3 they are made of.
_KEY = rb"[a-z*][a-z0-9_\-.*]*"
_BARE = (
    rb'(?:-?\d{1,12}\.\d{1,3}|-?\d{1,15}|%?"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
    rb"|[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*|:[A-Za-z0-9+/=]*:|\?[01]|@-?\d{1,15})"
)
_PARAMETERS = rb"(?:;\x20*" + _KEY + rb"(?:=" + _BARE + rb")?)*"
_ITEM = _BARE + _PARAMETERS
_INNER_LIST = rb"\(\x20*(?:" + _ITEM + rb"(?:\x20+" + _ITEM + rb")*\x20*)?\)" + _PARAMETERS
_MEMBER = re.compile(
    rb"(?P<key>" + _KEY + rb")(?:=(?:(?P<bare>" + _BARE + rb")" + _PARAMETERS + rb"|" + _INNER_LIST + rb")|" + _PARAMETERS + rb")"
)
_COMMA = re.compile(rb"[ \t]*,[ \t]*")

_DURATIONS = frozenset({b"max-age", b"s-maxage", b"stale-while-revalidate", b"stale-if-error"})
_INTEGER = re.compile(rb"\d{1,15}")


def parse_targeted(value: bytes) -> dict[bytes, bytes | None] | None:
    """The directives of a targeted field (RFC 9213 section 2.1), or None when it is to be ignored: empty, no structured
    dictionary, or with a duration that is no Integer. Never raises."""
    found: dict[bytes, bytes | None] = {}
    at, value = 0, value.strip(b" ")
    while True:
        match = _MEMBER.match(value, at)
        if match is None:
            return None
        key, bare = match["key"], match["bare"]
        if key in _DURATIONS and (bare is None or not _INTEGER.fullmatch(bare)):
            return None
        found.pop(key, None)  # RFC 9651 section 4.2.2: the last of several members with one key counts
        if bare != b"?0":
            found[key] = None if bare == b"?1" else bare
        at = match.end()
        if at == len(value):
            return found
        comma = _COMMA.match(value, at)
        if comma is None or comma.end() == len(value):
            return None
        at = comma.end()


def seconds(directives: dict[bytes, bytes | None], name: bytes) -> int | None:
    """The delta-seconds of a directive; None when it is absent.

    0 when it is no number: "caches are encouraged to consider responses that have invalid freshness information to be
    stale" (RFC 9111 section 4.2.1).
    """
    if name not in directives:
        return None
    text = directives[name]
    if text is None or not text.isdigit():
        return 0
    return MOST_SECONDS if len(text.lstrip(b"0")) > 10 else min(int(text), MOST_SECONDS)


def in_force(headers: list[Pair]) -> Directives:
    """The directives that hold for our cache, of a response with these fields (lower-case names)."""
    targeted = b", ".join([value for name, value in headers if name == b"cdn-cache-control"])
    lines = [value for name, value in headers if name == b"cache-control"]
    if len(targeted) > MAX_FIELD or sum([len(line) for line in lines]) > MAX_FIELD:
        return Directives(no_store=True)
    found = parse_targeted(targeted) if targeted else None
    ours = found is not None
    if found is None:
        found = parse(lines)
    return Directives(
        no_store=b"no-store" in found,
        no_cache=b"no-cache" in found,
        private=b"private" in found,
        public=b"public" in found,
        must_revalidate=b"must-revalidate" in found,
        proxy_revalidate=b"proxy-revalidate" in found,
        must_understand=b"must-understand" in found,
        max_age=seconds(found, b"max-age"),
        s_maxage=seconds(found, b"s-maxage"),
        stale_while_revalidate=seconds(found, b"stale-while-revalidate"),
        stale_if_error=seconds(found, b"stale-if-error"),
        targeted=ours,
    )
