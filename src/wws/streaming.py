"""Iterables of a function's own, as the bytes of a response's body."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import TypeVar

from wws import codec
from wws.errors import FunctionStopped

__all__ = ["as_events", "encoded"]

T = TypeVar("T")


async def encoded(chunks: AsyncIterable[bytes | str]) -> AsyncIterator[bytes]:
    """Texts as UTF-8, bytes as they are."""
    async for chunk in _given(chunks):
        yield chunk.encode() if isinstance(chunk, str) else chunk


async def as_events(events: AsyncIterable[object]) -> AsyncIterator[bytes]:
    """Each value as one server-sent event (WHATWG HTML, section 9.2.5): a text as it is, anything else as JSON."""
    async for event in _given(events):
        text = event if isinstance(event, str) else codec.encode(event).decode()
        yield "".join([f"data: {line}\n" for line in text.splitlines() or [""]]).encode() + b"\n"


async def _given(pieces: AsyncIterable[T]) -> AsyncIterator[T]:
    """What a function's generator yields. One that is stopped breaks off its stream as one that fails does."""
    try:
        async for piece in pieces:
            yield piece
    except FunctionStopped as stopped:
        raise RuntimeError(str(stopped)) from None
