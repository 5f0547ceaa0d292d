"""Server-sent events as bytes: cutting a stream into events, reading one, writing one.

WHATWG HTML, section 9.2 "Server-sent events". Everything works on bytes, so a character that is cut between two reads
is no special case: the cut is never at an event's end.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["MAX_EVENT", "Event", "EventTooLarge", "Parser", "Splitter", "parse", "write"]

MAX_EVENT: Final = 1024 * 1024
"""Bytes of one event. Chunks of chat streams are a few hundred; images inside events reach some 100 KB."""

# "Lines must be separated by either a CRLF pair, a single LF, or a single CR"; a blank line ends the event. A CR and LF
# that two reads have torn apart leave an LF in front of the next event: a blank line with nothing before it, no event.
_BLANK: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_BOM: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event of a stream is larger than the limit."""


class Event(NamedTuple):
    """`data` lines joined by LF; `event` is empty where the stream names none."""

    data: bytes
    event: bytes = b""
    id: bytes = b""


class Splitter:
    """Cuts a stream into the bytes of whole events, their blank line included; nothing is changed or lost.

    `pending` is the beginning of an event whose end has not come yet.
    """

    __slots__ = ("limit", "pending")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self.limit = limit
        self.pending = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that end in `chunk`. Raises `EventTooLarge`, after which the stream cannot be read on."""
        seen = len(self.pending)
        if not seen and chunk[-2:] == b"\n\n" and chunk.find(b"\r") < 0 and len(chunk) <= self.limit:
            return [raw + b"\n\n" for raw in chunk[:-2].split(b"\n\n")]  # the usual case, without the pattern
        data = self.pending + chunk if seen else chunk
        events: list[bytes] = []
        start = 0
        for blank in _BLANK.finditer(data, max(0, seen - 3)):
            events.append(data[start : blank.end()])
            start = blank.end()
        self.pending = data[start:]
        if len(self.pending) > self.limit or any(len(raw) > self.limit for raw in events):
            raise EventTooLarge(f"an event of more than {self.limit} bytes")
        return events


def parse(raw: bytes) -> Event | None:
    """The event that the lines of `raw` make; None when they hold no data: comments, or a name or id alone."""
    lines: list[bytes] = []
    name = identity = b""
    for line in raw.splitlines():
        field, _, value = line.partition(b":")
        if value[:1] == b" ":  # "If value starts with a U+0020 SPACE character, remove it from value"
            value = value[1:]
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value
        elif field == b"id" and b"\0" not in value:
            identity = value
    return Event(b"\n".join(lines), name, identity) if lines else None


class Parser:
    """A stream's events as they become whole."""

    __slots__ = ("_fresh", "_splitter")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._splitter = Splitter(limit)
        self._fresh = True

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that end in `chunk`. Raises `EventTooLarge`."""
        events = []
        for raw in self._splitter.feed(chunk):
            if self._fresh:  # "strip one leading U+FEFF BYTE ORDER MARK character, if any"
                raw = raw.removeprefix(_BOM)
                self._fresh = False
            event = parse(raw)
            if event is not None:
                events.append(event)
        return events

    @property
    def pending(self) -> bytes:
        """The beginning of an event that is not whole: at the end of the stream it is to be discarded."""
        return self._splitter.pending


def write(data: bytes, event: bytes = b"") -> bytes:
    """One event on the wire."""
    head = b"event: " + event + b"\n" if event else b""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return head + b"data: " + b"\ndata: ".join(lines) + b"\n\n"
