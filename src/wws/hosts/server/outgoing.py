"""A response as bytes: head and framing, and the pump that sends a stream to a client."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from wws.hosts.server import native
from wws.http import Response

_write: Final = native.write_answer

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
STATUS_LINES: Final = {code: f"HTTP/1.1 {code} {_PHRASES.get(code, 'Status')}\r\n".encode() for code in range(200, 1000)}

# RFC 9110 section 6.4.1: answers with these statuses have no content, whatever their fields say.
BODILESS: Final = frozenset({204, 304})
_OURS: Final = frozenset({b"date", b"content-length", b"transfer-encoding", b"connection"})
CLOSE: Final = b"connection: close\r\n"


def head(response: Response, date: bytes, framing: bytes, close: bool) -> bytes:
    """Status line and fields; a handler's own words on framing are left out. Raises `KeyError` for a status that ends no request.

    `framing` is the `content-length` or `transfer-encoding` line, or b"".

    `date` is added where the answer has no Date: that of an origin, or of a stored answer, says when it was made (RFC 9110
    section 6.6.1).
    """
    parts = [STATUS_LINES[response.status]]
    for name, value in response.headers.raw:
        if name in _OURS:
            if name != b"date":
                continue
            date = b""
        parts += (name, b": ", value, b"\r\n")
    parts.append(date)
    if response.notes:
        parts.append(response.notes.encode("latin-1"))
    parts.append(framing)
    if close:
        parts.append(CLOSE)
    parts.append(b"\r\n")
    return b"".join(parts)


def whole(response: Response, date: bytes, framing: bytes, close: bool, content: bytes) -> bytes:
    """A whole answer: `head`, and `content` behind it."""
    if _write is None:
        return head(response, date, framing, close) + content
    if close:
        framing += CLOSE
    return _write(STATUS_LINES[response.status], response.headers.raw, date, response.notes, framing, content)


def refusal(status: int, reason: str, date: bytes) -> bytes:
    """The whole answer to a message that is refused before it is a request."""
    body = reason.encode() + b"\n"
    fields = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\ncache-control: no-store\r\n" % len(body)
    wait = b"retry-after: 1\r\n" if status == 503 else b""
    return STATUS_LINES[status] + fields + wait + date + CLOSE + b"\r\n" + body


_SIZES: Final = [b"%x\r\n" % size for size in range(4096)]
"""The first lines of chunks, by their size: events of a stream are small, and formatting costs more than the rest of a chunk."""


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked coding (RFC 9112 section 7.1)."""
    size = len(data)
    return b"%b%b\r\n" % (_SIZES[size] if size < 4096 else b"%x\r\n" % size, data)


LAST_CHUNK: Final = b"0\r\n\r\n"
