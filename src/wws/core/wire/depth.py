"""How deep a JSON text is nested, without decoding it where that can be seen."""

from __future__ import annotations

from typing import Any, Final

from wws import codec

__all__ = ["within_depth"]

_SHORT: Final = 4096
"""Bytes of a text that is copied rather than looked through bracket by bracket."""


def _at_most(data: bytes, limit: int) -> bool:
    """Whether `data` has at most `limit` opening brackets.

    `replace` and `find` jump from one bracket to the next; `count` looks at every byte.
    """
    if len(data) <= _SHORT:
        size = len(data)
        square = size - len(data.replace(b"[", b"", limit + 1))
        return square <= limit and square + size - len(data.replace(b"{", b"", limit + 1)) <= limit
    for mark in (b"[", b"{"):
        at = data.find(mark)
        while at >= 0:
            if limit == 0:
                return False
            limit -= 1
            at = data.find(mark, at + 1)
    return True


def within_depth(data: bytes, limit: int) -> bool:
    """Whether arrays and objects in the JSON text `data` are nested at most `limit` deep.

    A text with at most `limit` opening brackets cannot be deeper, which is seen at once for almost every request; only the
    others are decoded, and for those alone `ValueError` is raised where the text is not JSON.
    """
    if _at_most(data, limit):
        return True
    level: list[Any] = [codec.decode(data)]
    for _ in range(limit + 1):
        level = [v for v in level if isinstance(v, dict | list)]
        if not level:
            return True
        level = [child for v in level for child in (v.values() if isinstance(v, dict) else v)]
    return False
