"""The user's own words in a request, for the router to judge. Other roles' words say little of how hard the task is."""

from __future__ import annotations

from typing import Any

from wws import codec

__all__ = ["prompt_text"]

DECODED = 1024 * 1024
"""Bytes of `messages` that are decoded for this; of a longer array the last WINDOW bytes are read as they stand."""
WINDOW = 16 * 1024
ENOUGH = 16 * 1024
"""Characters after which no earlier message is looked at."""


def prompt_text(messages: codec.Piece) -> str:
    """The text of the user's messages, oldest first, from a JSON array in OpenAI's or Anthropic's shape; "" where there is none.

    Never raises: what has another shape is the provider's to refuse.
    """
    raw = memoryview(messages)
    if len(raw) > DECODED:
        return bytes(raw[-WINDOW:]).decode(errors="ignore").replace("\\n", "\n").replace('\\"', '"')
    try:
        array = codec.value(messages)
    except ValueError:
        return ""
    found: list[str] = []
    size = 0
    for message in reversed(array if isinstance(array, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            text = content_text(message.get("content"))
            found.append(text)
            size += len(text)
            if size >= ENOUGH:
                break
    return "\n".join(reversed(found))


def content_text(content: Any) -> str:
    """The text of a message's content: a text, or a list of parts of which those of type `text` count."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "\n".join([part for part in parts if isinstance(part, str)])
