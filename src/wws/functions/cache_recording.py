"""A stream's copy, made while it passes."""

from __future__ import annotations

from collections.abc import Callable

from wws.core.cache.storable import MAX_BODY
from wws.http import Outcome, Stream, Transform

__all__ = ["Recording", "drain"]


class Recording:
    """Keeps a copy of a stream that passes, and stores it when it ended well, whole and within the limit.

    Whatever the stream's transform was goes on doing its part: what is recorded is what it lets through. `then` is called once
    when it is settled whether anything was stored.
    """

    __slots__ = ("_announced", "_inner", "_keep", "_pieces", "_size", "then")

    def __init__(self, keep: Callable[[bytes], None], announced: int | None, inner: Transform | None) -> None:
        self._keep = keep
        self._announced = announced
        self._inner = inner
        self._pieces: list[bytes] | None = []
        self._size = 0
        self.then: Callable[[], None] | None = None

    @property
    def live(self) -> bool:
        """Whether it still records."""
        return self._pieces is not None

    def feed(self, chunk: bytes) -> bytes:
        """See `Transform`."""
        if self._inner is not None:
            chunk = self._inner.feed(chunk)
        self._take(chunk)
        return chunk

    def end(self, outcome: Outcome) -> bytes:
        """See `Transform`."""
        last = b"" if self._inner is None else self._inner.end(outcome)
        self._take(last)
        pieces, self._pieces = self._pieces, None
        # RFC 9111 section 3.3: a body that ended before its announced length is incomplete; it is not kept.
        if pieces is not None and outcome == "done" and self._announced in (None, self._size):
            self._keep(b"".join(pieces))
        self._settle()
        return last

    def _take(self, chunk: bytes) -> None:
        if self._pieces is None:
            return
        self._size += len(chunk)
        if self._size > MAX_BODY:
            self._pieces = None
            self._settle()
        else:
            self._pieces.append(bytes(chunk))

    def _settle(self) -> None:
        then, self.then = self.then, None
        if then is not None:
            then()


async def drain(stream: Stream, recording: Recording) -> bytes | None:
    """Reads a stream to its end: its bytes, or None when they were more than is kept. Raises what the stream does."""
    pieces: list[bytes] = []
    ended = "cut"
    try:
        async for chunk in stream:
            pieces.append(recording.feed(chunk))
            if not recording.live:
                await stream.aclose()
                return None
        ended = "done"
    finally:
        last = recording.end(ended)
    pieces.append(last)
    return b"".join(pieces)
