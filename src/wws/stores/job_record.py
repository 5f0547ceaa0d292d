"""A message as the bytes that stores keep: the same on disk and on a server."""

from __future__ import annotations

from struct import Struct

from wws.core.queue.message import Message

__all__ = ["record", "stored"]

_HEAD = Struct("<ddIHH")  # sent, due, attempts, and the lengths of receipt and reason
_REASON = 1000
"""Bytes of a reason that are kept."""


def record(message: Message) -> bytes:
    """The bytes for a message; its id is the key they are kept under."""
    receipt, reason = message.receipt.encode(), message.reason.encode()[:_REASON]
    head = _HEAD.pack(message.sent, message.due, message.attempts, len(receipt), len(reason))
    return head + receipt + reason + message.body


def stored(name: str, data: bytes) -> Message:
    """The message kept under `name`."""
    sent, due, attempts, receipt, reason = _HEAD.unpack_from(data)
    middle, end = _HEAD.size + receipt, _HEAD.size + receipt + reason
    texts = data[_HEAD.size : middle].decode(), data[middle:end].decode(errors="replace")
    return Message(name, data[end:], sent, due, attempts, *texts)
