"""A message of a queue, and its body as bytes.

A body is a JSON value or bytes. As bytes it begins with a mark that says which: a queue may hold both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wws import codec

__all__ = ["MAX_BODY", "MAX_DELAY", "Counts", "Message", "packed", "plain", "unpacked"]

MAX_BODY: Final = 128 * 1024
"""Bytes of a body, as Cloudflare Queues has it (developers.cloudflare.com/queues/platform/limits)."""
MAX_DELAY: Final = 86_400.0
"""Seconds a message may be held back: 24 hours, from the same page."""

_JSON: Final = b"j"
_BYTES: Final = b"b"


@dataclass(frozen=True, slots=True)
class Message:
    """`attempts` counts deliveries, the present one included. `sent` and `due` are wall seconds.

    `receipt` names one delivery: what is said with the receipt of an earlier one is not heard. `reason`: why it is dead.
    """

    id: str
    body: bytes
    sent: float
    due: float
    attempts: int = 0
    receipt: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one queue: messages that may be delivered now, those that wait for their time or are being worked on, dead letters."""

    ready: int = 0
    waiting: int = 0
    dead: int = 0


def packed(body: object) -> bytes:
    """`body` as bytes. Raises `ValueError` when it is neither bytes nor a JSON value, or longer than `MAX_BODY`."""
    if isinstance(body, bytes | bytearray | memoryview):
        data = _BYTES + bytes(body)
    else:
        try:
            data = _JSON + codec.encode(body)
        except (TypeError, ValueError) as error:
            raise ValueError(f"a message is bytes or a JSON value: {error}") from None
    if len(data) > MAX_BODY + 1:
        raise ValueError(f"a message is at most {MAX_BODY} bytes, this one is {len(data) - 1}")
    return data


def unpacked(data: bytes) -> Any:
    """What `packed` was given. Raises `ValueError` for bytes that it never made."""
    if data[:1] == _BYTES:
        return data[1:]
    if data[:1] != _JSON:
        raise ValueError("not a message's body")
    return codec.decode(data[1:])


def plain(message: Message) -> Mapping[str, Any]:
    """A message for people and machines to read; bytes are told by their length."""
    body = unpacked(message.body)
    shown = {"bytes": len(body)} if isinstance(body, bytes) else body
    fields = {"id": message.id, "body": shown, "sent": message.sent, "due": message.due, "attempts": message.attempts}
    return {**fields, "reason": message.reason} if message.reason else fields
