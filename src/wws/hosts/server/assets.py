"""Reading files without holding up the event loop: small ones are kept in memory, large ones are sent in pieces."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from wws.http import Stream
from wws.project.public import Asset, Public

__all__ = ["Assets"]

SMALL: Final = 512 * 1024
"""Bytes of a file that is read whole and kept."""
KEPT: Final = 64 * 1024 * 1024
PIECE: Final = 256 * 1024


class Assets:
    """The files of one version of a project, see `wws.functions.static.Files`."""

    def __init__(self, public: Public) -> None:
        self._public = public
        self._kept: OrderedDict[Path, bytes] = OrderedDict()
        self._size = 0

    def find(self, path: str) -> Asset | None:
        """The asset of a decoded path."""
        return self._public.assets.get(path)

    @property
    def missing(self) -> Asset | None:
        """The page for what is not there."""
        return self._public.missing

    async def read(self, file: Path, size: int, start: int, end: int) -> bytes | Stream:
        """Bytes `start` to `end` of a file of `size`. Raises `OSError`, or `ValueError` when it is not as long any more."""
        if size > SMALL:
            opened = await asyncio.to_thread(file.open, "rb")
            await asyncio.to_thread(opened.seek, start)
            return Stream(_pieces(opened, end - start + 1), lambda: asyncio.to_thread(opened.close))
        data = self._kept.get(file)
        if data is None:
            data = await asyncio.to_thread(file.read_bytes)
            if len(data) != size:
                raise ValueError(f"{file.name} has changed: a reload reads it anew")
            self._keep(file, data)
        else:
            self._kept.move_to_end(file)
        return data if end - start + 1 == size else data[start : end + 1]

    def _keep(self, file: Path, data: bytes) -> None:
        self._kept[file] = data
        self._size += len(data)
        while self._size > KEPT:
            _, old = self._kept.popitem(last=False)
            self._size -= len(old)


async def _pieces(opened: object, left: int) -> AsyncIterator[bytes]:
    read = opened.read  # type: ignore[attr-defined]  # a file opened for reading bytes
    try:
        while left:
            data: bytes = await asyncio.to_thread(read, min(PIECE, left))
            if not data:
                return  # shorter than it was: the host sees that the length is not reached, and closes
            left -= len(data)
            yield data
    finally:
        opened.close()  # type: ignore[attr-defined]
