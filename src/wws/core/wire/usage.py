"""Tokens and the served model, as a provider's answer states them, in OpenAI's and Anthropic's shapes.

A whole answer is not decoded for it: `usage` and `model` are found by their names, which cannot occur inside a JSON
string without a backslash before the quote, and only what follows them is read. Parts are cut out by `partition`, which
compiled code calls at half the price of `find`.
"""

from __future__ import annotations

from typing import Any, Final

from wws import codec, codec_c
from wws.core.text import record
from wws.core.trail import Usage

__all__ = ["from_answer", "read", "served_model", "told"]

MAX_MODEL: Final = 200
"""Bytes of a model's name. The longest in the providers' lists are about 60."""
_NAMES_REMEMBERED: Final = 1024
_names: Final[dict[bytes, str]] = {}
_NEAR: Final = 1024
"""Bytes at an answer's beginning that have its model, and at its end that have its usage, unless it is an unusual one."""
_quick: Final = codec_c.told
_record: Final = record


def _count(fields: dict[str, Any], name: str) -> int:
    number = fields.get(name)
    return number if type(number) is int and number >= 0 else 0


def read(usage: object) -> Usage | None:
    """The tokens of a `usage` object; None when it is not one.

    OpenAI: `prompt_tokens` counts the cached ones too (`prompt_tokens_details.cached_tokens`). Anthropic: `input_tokens`
    counts neither those read from the cache nor those written to it, so they are added. What is missing, null or not a
    whole number counts as 0.
    """
    if not isinstance(usage, dict):
        return None
    if "input_tokens" in usage or "output_tokens" in usage:
        cached = _count(usage, "cache_read_input_tokens")
        asked = _count(usage, "input_tokens") + cached + _count(usage, "cache_creation_input_tokens")
        return Usage(asked, _count(usage, "output_tokens"), cached)
    if "prompt_tokens" not in usage and "completion_tokens" not in usage:
        return None
    details = usage.get("prompt_tokens_details")
    cached = _count(details, "cached_tokens") if isinstance(details, dict) else 0
    return _record(Usage, _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"), cached)


def told(body: bytes) -> tuple[Usage | None, str | None]:
    """The usage and the model that a plain JSON answer states: `from_answer` and `served_model`."""
    known = None if _quick is None else _quick(body, Usage)
    return known if known is not None else (from_answer(body), served_model(body))


def from_answer(body: bytes) -> Usage | None:
    """The usage of a plain JSON answer: chat completion, embeddings or message. None when it has none.

    `usage` is usually the last member: then its few bytes are all that is read, whatever the answer's size.
    """
    tail = body if len(body) <= _NEAR else body[-_NEAR:]
    _, found, rest = tail.rpartition(b'"usage":{')
    if found and rest[-2:] == b"}}":  # its own end and the answer's, where nothing follows it
        try:
            usage = read(codec.decode(b"{" + rest[:-1]))
        except ValueError:
            usage = None
        if usage is not None:
            return usage
    return _found(body)


def _found(body: bytes) -> Usage | None:
    """`from_answer` for any other order and spacing."""
    at = body.rfind(b'"usage"')
    if at < 0:
        return None
    start, end = body.find(b"{", at, at + 16), body.rfind(b"}", at)
    if 0 <= start < end:
        # One attempt at what is nearly always so. A usage object that is followed by other members does not decode.
        try:
            usage = read(codec.decode(body[start:end]))
        except ValueError:
            usage = None
        if usage is not None:
            return usage
    try:
        members = codec.split(body)
        return read(codec.value(members["usage"])) if "usage" in members else None
    except ValueError:
        return None


def served_model(body: bytes) -> str | None:
    """The `model` of a plain JSON answer: the one that answered. None when it names none, or none fit for a header."""
    head = body if len(body) <= _NEAR else body[:_NEAR]
    _, found, rest = head.partition(b'"model":"')
    if found:
        piece, found, _ = rest.partition(b'"')
        if found and 0 < len(piece) <= MAX_MODEL:
            return _names.get(piece) or _named(piece)
    return _named_elsewhere(body)


def _named(piece: bytes) -> str | None:
    name = clean_model(piece.decode("ascii", "replace"))
    if name is not None:
        if len(_names) >= _NAMES_REMEMBERED:
            _names.clear()
        _names[piece] = name
    return name


def _named_elsewhere(body: bytes) -> str | None:
    """`served_model` for any other place and spacing."""
    at = body.find(b'"model"', 0, _NEAR)
    if at >= 0:
        start = body.find(b'"', at + 7, at + 12) + 1
        end = body.find(b'"', start, start + MAX_MODEL)
        if start > 0 and end > start and not body[at + 7 : start - 1].strip(b": \t\r\n"):
            return clean_model(body[start:end].decode("ascii", "replace"))
    try:
        members = codec.split(body)
        return clean_model(codec.value(members["model"])) if "model" in members else None
    except ValueError:
        return None


def clean_model(name: object) -> str | None:
    """A model's name as a provider gave it, when it is text of visible ASCII that may stand in a header."""
    if isinstance(name, str) and 0 < len(name) <= MAX_MODEL and name.isascii() and name.isprintable() and "\\" not in name:
        return name
    return None
