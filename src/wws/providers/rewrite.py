"""Changes to a request that more than one provider needs. Each works on a `Draft` and says what it changed or dropped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wws.providers.dialect import Draft, Rewrite

__all__ = [
    "SCALE",
    "clamp_max_tokens",
    "clamp_to",
    "drop",
    "has_blank_content",
    "has_list_content",
    "is_glm",
    "names_developer",
    "nearest_effort",
    "rename",
    "rewrite_messages",
]

SCALE = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Values of `reasoning_effort` that models know, each some of them, in order."""

# Tests on the bytes of `messages`, so that they are decoded only for a reason. From the end, since rfind goes over a long
# text three times as fast as find does; a quoted word cannot be a piece of a text, where its quotes would be escaped.


def names_developer(text: bytes) -> bool:
    """Whether some value or name is `developer`."""
    return text.rfind(b'"developer"') >= 0


def has_list_content(text: bytes) -> bool:
    """Whether some content is a list of parts."""
    return text.rfind(b"[") > 0 and (text.rfind(b'"content":[') >= 0 or text.rfind(b'"content": [') >= 0)


def has_blank_content(text: bytes) -> bool:
    """Whether some content is empty, and some message the assistant's."""
    return text.rfind(b'"assistant"') >= 0 and (text.rfind(b'"content":""') >= 0 or text.rfind(b'"content": ""') >= 0)


def clamp_to(name: str) -> Rewrite:
    """Lowers a number of tokens to what the model can answer with; a larger one is refused as a bad parameter."""

    def clamp(draft: Draft) -> None:
        limit = draft.model.max_output
        asked = draft.value(name)
        if limit is not None and type(asked) is int and asked > limit:
            draft.put(name, limit)
            draft.warnings.append(f"{name}:clamped")

    return clamp


clamp_max_tokens = clamp_to("max_tokens")


def rename(old: str, new: str) -> Rewrite:
    """Gives a member its other name, unless that is there too: then the old one is dropped."""

    def change(draft: Draft) -> None:
        if new in draft.members:
            draft.drop(old)
        else:
            draft.members[new] = draft.members.pop(old)

    return change


def drop(name: str) -> Rewrite:
    """Takes a member out that this provider does not know and another one does."""

    def change(draft: Draft) -> None:
        draft.drop(name)

    return change


def nearest_effort(asked: str, known: Iterable[str]) -> str:
    """The value of `known` nearest to `asked` on SCALE, the higher of two as near; at least some effort if some was asked for."""
    place = SCALE.index(asked)
    choices = [value for value in known if value != "none" or asked == "none"]
    return min(choices, key=lambda value: (abs(SCALE.index(value) - place), -SCALE.index(value)), default=asked)


def is_glm(draft: Draft) -> bool:
    """Whether the model, or what its alias serves, is one of z.ai's."""
    return "glm" in draft.model.family


def rewrite_messages(draft: Draft, *, system: bool, flatten: bool, blank: bool = False) -> None:
    """Roles and contents that the provider's chat templates mishandle; the bytes are kept when nothing needs a change.

    `system`: `developer` messages become `system`. `flatten`: list content of tool and assistant messages, which GLM's
    templates drop, becomes text. `blank`: empty content of assistant messages, which is refused, becomes a space.
    """
    messages = draft.value("messages")
    if not isinstance(messages, list):
        return
    changed = False
    for message in messages:
        if isinstance(message, dict):
            changed = _rewrite_message(message, draft, system, flatten, blank) or changed
    if changed:
        draft.put("messages", messages)


def _rewrite_message(message: dict[str, Any], draft: Draft, system: bool, flatten: bool, blank: bool) -> bool:
    role = message.get("role")
    changed = False
    if system and role == "developer":
        message["role"] = role = "system"
        changed = True
    content = message.get("content")
    if flatten and isinstance(content, list) and role in ("tool", "assistant"):
        message["content"] = content = _text_of(content, draft)
        changed = True
    if blank and role == "assistant" and content == "":
        message["content"] = " "
        changed = True
    return changed


def _text_of(parts: list[Any], draft: Draft) -> str:
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    if len(texts) < len(parts):
        draft.warnings.append("messages.content:parts-dropped")
    return "\n".join(texts)
