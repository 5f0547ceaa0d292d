"""The web platform's objects, as Pyodide lends them: the few crossings that the edge hosts share.

Crossing the border costs microseconds for a text and many times that for an object, so whole messages cross as one JSON text.
Nothing here is imported from the platform: a host hands its `js` and `pyodide.ffi` in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wws.http import Pair

__all__ = ["Web", "pairs_of"]


class Web:
    """`js` are the platform's globals, `ffi` is `pyodide.ffi`."""

    __slots__ = ("_absent", "ffi", "js")

    def __init__(self, js: Any, ffi: Any) -> None:
        self.js = js
        self.ffi = ffi
        self._absent = getattr(ffi, "jsnull", None)

    def present(self, value: Any) -> Any | None:
        """`value`, or None for JavaScript's null and undefined, which Python sees as two different things."""
        return None if value is None or value is self._absent else value

    def octets(self, data: bytes) -> Any:
        """A `Uint8Array` of its own with these bytes."""
        return self.ffi.to_js(data)

    @staticmethod
    def data(buffer: Any) -> bytes:
        """The bytes of an ArrayBuffer or a view of one."""
        found: bytes = buffer.to_bytes()
        return found

    def plain(self, value: Any) -> Any:
        """A JavaScript object for plain data: one crossing, whatever its size."""
        return self.js.JSON.parse(json.dumps(value))

    def fields(self, headers: Any) -> list[Pair]:
        """The pairs of a `Headers` object; its names are lower case already (Fetch, section 5.1)."""
        listed = json.loads(self.js.JSON.stringify(self.js.Array.from_(headers)))
        return [(name.encode("latin-1"), _octets(value)) for name, value in listed]


def pairs_of(pairs: Sequence[Pair], notes: str = "") -> list[list[str]]:
    """Header pairs, and header lines as `Response.notes` has them, as the texts that `Headers` is made from."""
    texts = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in pairs]
    for line in notes.split("\r\n"):
        name, colon, value = line.partition(": ")
        if colon:
            texts.append([name, value])
    return texts


def _octets(value: str) -> bytes:
    """A field's value as it was on the wire: a ByteString in the Fetch standard, UTF-8 read as text in some runtimes."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()
