"""How a file is sent: which of its encodings, whether at all, and which part (RFC 9110 sections 12.5.3, 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from wws.core.cache import httpdate

__all__ = ["ENCODINGS", "Part", "accepted", "choose", "part", "unchanged"]

ENCODINGS: Final = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
"""Content codings that may lie beside a file, and how their names end."""
_RANGE: Final = re.compile(rb"bytes=(\d{0,19})-(\d{0,19})")


class Part(NamedTuple):
    """Bytes `start` to `end`, both included, or what cannot be had of the file: then `end` is less than `start`."""

    start: int
    end: int


def accepted(header: bytes | None) -> dict[str, float]:
    """The codings of `Accept-Encoding` and their weights; what cannot be read counts as 0."""
    found: dict[str, float] = {}
    for item in (header or b"").decode("latin-1").lower().split(","):
        name, _, parameters = item.partition(";")
        weight = 1.0
        key, _, value = parameters.partition("=")
        if key.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 0.0
        if name.strip():
            found[name.strip()] = weight
    return found


def choose(header: bytes | None, sizes: Mapping[str, int]) -> str | None:
    """The coding to send of those there are (coding to bytes): the most wanted, then the smallest; None: the file as it is."""
    if header is None or not sizes:
        return None
    weights = accepted(header)
    anything = weights.get("*", 0.0)
    wanted = {name: weights.get(name, anything) for name in sizes}
    best = max(wanted.values(), default=0.0)
    if best <= 0.0 or best < weights.get("identity", 0.0):
        return None
    return min((name for name, weight in wanted.items() if weight == best), key=lambda name: sizes[name])


def unchanged(first: Mapping[bytes, bytes], etag: bytes, modified: float, now: float) -> bool:
    """Whether 304 is the answer. Section 13.2.2: If-None-Match goes before If-Modified-Since."""
    tags = first.get(b"if-none-match")
    if tags is not None:
        return tags.strip() == b"*" or etag in [tag.strip().removeprefix(b"W/") for tag in tags.split(b",")]
    since = first.get(b"if-modified-since")
    if since is None:
        return False
    date = httpdate.parse(since, now)
    return date is not None and int(modified) <= date


def part(first: Mapping[bytes, bytes], size: int, etag: bytes, modified: float, now: float) -> Part | None:
    """The part that `Range` asks for; None: all of it.

    Several ranges, other units and what is malformed are ignored, as section 14.2 allows. Where `If-Range` names another
    version the whole is sent (section 13.1.5).
    """
    asked = first.get(b"range")
    if asked is None:
        return None
    condition = first.get(b"if-range")
    if condition is not None and condition.strip() != etag:
        date = httpdate.parse(condition, now)
        if date is None or int(modified) != int(date):
            return None
    found = _RANGE.fullmatch(asked.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:  # the last bytes
        length = int(found[2])
        return Part(max(0, size - length), size - 1) if length and size else Part(0, -1)
    start, end = int(found[1]), min(int(found[2]), size - 1) if found[2] else size - 1
    if found[2] and int(found[2]) < start:
        return None  # section 14.1.1: "invalid if the last-pos value is present and less than first-pos"
    return Part(start, end) if start < size else Part(0, -1)
