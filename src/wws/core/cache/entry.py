"""A stored answer, and its form as bytes for a store that several processes share."""

from __future__ import annotations

import struct
from math import isfinite
from typing import NamedTuple

__all__ = ["Entry", "decode", "encode"]

Pair = tuple[bytes, bytes]


class Entry(NamedTuple):
    """An answer as it is kept: final status, the fields that may be kept, the whole body.

    `response_time` is the wall time in seconds when its head arrived, `age` how old it was then (RFC 9111 section 4.2.3).
    `vary` holds the selecting request fields and what the request had for them.
    """

    status: int
    headers: tuple[Pair, ...]
    body: bytes
    response_time: float
    age: float
    vary: tuple[tuple[bytes, bytes | None], ...] = ()

    def first(self, name: bytes) -> bytes | None:
        """The first value of a field."""
        for field, value in self.headers:
            if field == name:
                return value
        return None


_MAGIC = b"wws1"
_HEAD = struct.Struct(">4sHddHHI")  # magic, status, response time, age, number of fields, of selecting fields, body length
_PART = struct.Struct(">HI")  # lengths of a name and its value
_ABSENT = 0xFFFFFFFF


def encode(entry: Entry) -> bytes:
    """The entry as bytes. Raises `ValueError` when a part is longer than the form can say (64 KiB for a name)."""
    status, headers, body, response_time, age, vary = entry
    try:
        parts = [_HEAD.pack(_MAGIC, status, response_time, age, len(headers), len(vary), len(body))]
        for name, value in (*headers, *vary):
            parts.append(_PART.pack(len(name), _ABSENT if value is None else len(value)))
            parts.append(name)
            if value:
                parts.append(value)
    except struct.error as error:
        raise ValueError(str(error)) from None
    parts.append(body)
    return b"".join(parts)


def decode(data: bytes) -> Entry:
    """The entry that `encode` made `data` of. Raises `ValueError` for anything else: another version, a part that is cut."""
    try:
        magic, status, response_time, age, fields, selecting, length = _HEAD.unpack_from(data)
        if magic != _MAGIC:
            raise ValueError("not a stored answer of this version")
        at = _HEAD.size
        headers: list[Pair] = []
        for _ in range(fields):
            name, value, at = _part(data, at)
            if value is None:
                raise ValueError("a field without a value")
            headers.append((name, value))
        vary: list[tuple[bytes, bytes | None]] = []
        for _ in range(selecting):
            name, value, at = _part(data, at)
            vary.append((name, value))
    except struct.error as error:
        raise ValueError(str(error)) from None
    if len(data) != at + length:
        raise ValueError("the body is cut or followed by something")
    if not 200 <= status <= 999 or not isfinite(response_time) or not isfinite(age) or age < 0.0:
        raise ValueError("no final status, or times that are none")
    return Entry(status, tuple(headers), data[at:], response_time, age, tuple(vary))


def _part(data: bytes, at: int) -> tuple[bytes, bytes | None, int]:
    name_length, value_length = _PART.unpack_from(data, at)
    at += _PART.size
    name = data[at : at + name_length]
    at += name_length
    if value_length == _ABSENT:
        value = None
    else:
        value = data[at : at + value_length]
        at += value_length
    if at > len(data):
        raise ValueError("a field is cut")
    return name, value, at
