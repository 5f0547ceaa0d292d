"""Iterables of a function's own, as the bytes of a response's body."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from wws import codec

__all__ = ["as_events", "encoded"]


async def encoded(chunks: AsyncIterable[bytes | str]) -> AsyncIterator[bytes]:
    """Texts as UTF-8, bytes as they are."""
    async for chunk in chunks:
        yield chunk.encode() if isinstance(chunk, str) else chunk


async def as_events(events: AsyncIterable[object]) -> AsyncIterator[bytes]:
    """Each value as one server-sent event (WHATWG HTML, section 9.2.5): a text as it is, anything else as JSON."""
    async for event in events:
        text = event if isinstance(event, str) else codec.encode(event).decode()
        yield "".join([f"data: {line}\n" for line in text.splitlines() or [""]]).encode() + b"\n"
