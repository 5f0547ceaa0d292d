"""Conditional requests: ours to the origin, and a client's answered from what is stored (RFC 9111 sections 4.3 and 3.2)."""

from __future__ import annotations

import re

from wws.core.cache import httpdate
from wws.core.cache.entry import Entry
from wws.core.cache.storable import kept

__all__ = ["CONDITIONAL", "conditions", "freshen", "not_modified", "not_modified_fields", "validates"]

Pair = tuple[bytes, bytes]

CONDITIONAL = frozenset({b"if-none-match", b"if-modified-since"})
"""The request fields that are the cache's own towards the origin: what it gives to its handler replaces the client's."""

_ETAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
# RFC 9111 section 3.2: not updated from a 304 are Content-Length and the fields that say how the stored body is to be read.
_OF_THE_BODY = frozenset({b"content-encoding", b"content-range", b"content-length"})
# RFC 9110 section 15.4.5: what a 304 carries, and the answer's own cache fields.
_IN_304 = frozenset({
    b"cache-control", b"cdn-cache-control", b"content-location", b"date", b"etag", b"expires", b"vary",
})  # fmt: skip


def conditions(entry: Entry) -> list[Pair]:
    """The fields of a request that validates `entry` (RFC 9111 section 4.3.1); empty where it has no validator."""
    fields: list[Pair] = []
    etag = entry.first(b"etag")
    if etag is not None:
        fields.append((b"if-none-match", etag))
    modified = entry.first(b"last-modified")
    if modified is not None:
        fields.append((b"if-modified-since", modified))
    return fields


def validates(entry: Entry, headers: list[Pair]) -> bool:
    """Whether a 304 with these fields is about `entry` (RFC 9111 section 4.3.4); the entity tag has precedence."""
    for name in (b"etag", b"last-modified"):
        for field, value in headers:
            if field == name:
                stored = entry.first(name)
                return stored is not None and _opaque(stored) == _opaque(value)
    return True


def freshen(entry: Entry, headers: list[Pair], response_time: float, age: float) -> Entry:
    """`entry` with the fields of a 304 in place of those it had (RFC 9111 section 3.2), of the time and age of that 304."""
    new = [pair for pair in kept(headers) if pair[0] not in _OF_THE_BODY]
    replaced = {name for name, _ in new}
    # Expires is counted from the Date beside it: that of the older answer would lengthen or shorten it.
    replaced.add(b"date")
    held = [pair for pair in entry.headers if pair[0] not in replaced]
    return entry._replace(headers=(*held, *new), response_time=response_time, age=age)


def not_modified(raw: list[Pair], entry: Entry) -> bool:
    """Whether a request with the fields `raw` is answered with 304 from `entry` (RFC 9111 section 4.3.2)."""
    if entry.status != 200:
        return False
    tags = [value for name, value in raw if name == b"if-none-match"]
    if tags:  # RFC 9110 section 13.1.3: If-Modified-Since is ignored beside it
        etag = entry.first(b"etag")
        if any(value.strip() == b"*" for value in tags):
            return True
        return etag is not None and any(_opaque(etag) == _opaque(tag) for value in tags for tag in _ETAG.findall(value))
    since = [value for name, value in raw if name == b"if-modified-since"]
    moment = httpdate.parse(since[0], entry.response_time) if len(since) == 1 else None
    if moment is None:
        return False
    modified = httpdate.parse(entry.first(b"last-modified") or entry.first(b"date"), entry.response_time)
    return (entry.response_time if modified is None else modified) <= moment


def not_modified_fields(entry: Entry) -> list[Pair]:
    """The stored fields that a 304 carries; `Last-Modified` only where there is no entity tag (RFC 9110 section 15.4.5)."""
    fields = [pair for pair in entry.headers if pair[0] in _IN_304]
    if entry.first(b"etag") is None:
        fields += [pair for pair in entry.headers if pair[0] == b"last-modified"]
    return fields


def _opaque(tag: bytes) -> bytes:
    # RFC 9110 section 8.8.3.2, weak comparison: the opaque tags alone.
    return tag[2:] if tag.startswith(b"W/") else tag
