"""The project's public files, which lie beside the TypeScript: see `wws.functions.static.Files`.

A short file is read whole and kept; a large one goes from the disk to the client without coming by here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple

from wws.core.wire.files import ENCODINGS
from wws.hosts.deno.border import Border
from wws.hosts.deno.dial import Source
from wws.hosts.edge.bundle import Page
from wws.hosts.edge.stream import FetchStream
from wws.http import Stream

__all__ = ["KEPT", "SMALL", "DenoFiles"]

SMALL: Final = 64 * 1024
"""Bytes of a file that is read whole and kept."""
KEPT: Final = 8 * 1024 * 1024


class Asset(NamedTuple):
    """A `wws.project.public.Asset`, as it was when the project was built."""

    file: str
    size: int
    modified: float
    etag: bytes
    type: bytes
    variants: Mapping[str, tuple[str, int]]
    redirect: str | None


class DenoFiles:
    """The files of a bundle, by path."""

    def __init__(self, border: Border, pages: Mapping[str, Page], missing: str | None) -> None:
        self._border = border
        self._assets = {path: _asset(page) for path, page in pages.items()}
        self.missing = None if missing is None else self._assets[missing]
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def find(self, path: str) -> Asset | None:
        """The asset of a decoded path."""
        return self._assets.get(path)

    async def read(self, file: str, size: int, start: int, end: int) -> bytes | Stream:
        """Bytes `start` to `end` of a file of `size`. Raises `ValueError` when it is not there, or not as long."""
        if size > SMALL:
            number, told = self._border.wait()
            self._border.glue.file(number, file, size, start, end)
            _good(file, (await told)[0])
            return FetchStream(Source(self._border, number), inf, inf)
        data = self._kept.get(file)
        if data is None:
            number, told = self._border.wait()
            self._border.glue.file(number, file, size, 0, -1)
            status, _, found = await told
            _good(file, status)
            self._keep(file, data := found or b"")
        else:
            self._kept.move_to_end(file)
        return data if end - start + 1 == size else data[start : end + 1]

    def _keep(self, file: str, data: bytes) -> None:
        self._kept[file] = data
        self._size += len(data)
        while self._size > KEPT:
            _, old = self._kept.popitem(last=False)
            self._size -= len(old)


def _asset(page: Page) -> Asset:
    variants = {coding: (page.file + ENCODINGS[coding], size) for coding, size in page.variants.items()}
    return Asset(page.file, page.size, page.modified, page.etag.encode(), page.type.encode(), variants, page.redirect)


def _good(file: str, status: int) -> None:
    if status < 0:
        raise ValueError(f"{file} is not as it was when the project was built")
