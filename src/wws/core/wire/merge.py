"""Growing a JSON value from the deltas of a stream, whatever its members are called.

Texts grow by what comes, lists by their elements, objects by their members; elements that carry an `index` grow in their
place (the rules of openai-python's `accumulate_delta`). What names a thing is said once and not added to.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Text", "merge", "whole"]


class Text(list[str]):
    """A text in pieces: adding to it does not copy what is there."""

    __slots__ = ()


# Members that name or number a thing. Some providers repeat them in every delta.
_SAID_ONCE = frozenset({"id", "type", "role", "name", "index", "object", "format"})


def merge(into: dict[str, Any], name: str, value: Any) -> None:
    """Adds `value` to the member `name`."""
    known = into.get(name)
    if value is None:
        into.setdefault(name, None)
    elif type(value) is str:
        if name in _SAID_ONCE:
            if not known:
                into[name] = value
        elif type(known) is Text:
            known.append(value)
        else:
            into[name] = Text([value])
    elif type(value) is dict:
        if type(known) is not dict:
            known = into[name] = {}
        for key, part in value.items():
            merge(known, key, part)
    elif type(value) is list:
        if type(known) is not list:
            known = into[name] = []
        for element in value:
            _extend(known, element, name == "tool_calls")
    else:
        into[name] = value


def _extend(into: list[Any], element: Any, calls: bool) -> None:
    if type(element) is not dict:
        into.append(element)
        return
    index = element.get("index")
    if type(index) is not int:
        if not calls:
            into.append(element)
            return
        # A call without an index is the first one, or the one that is being written; another id begins another call.
        last = into[-1] if into and type(into[-1]) is dict else None
        if last is not None and element.get("id") in (None, "", last.get("id")):
            index = last.get("index", 0)
        else:
            index = 0 if last is None else last.get("index", 0) + 1
        element = {**element, "index": index}
    for known in into:
        if type(known) is dict and known.get("index") == index:
            break
    else:
        known = {}
        into.append(known)
    for key, part in element.items():
        merge(known, key, part)


def whole(value: Any) -> Any:
    """`value` with its texts in one piece."""
    kind = type(value)
    if kind is Text:
        return "".join(value)
    if kind is dict:
        return {name: whole(part) for name, part in value.items()}
    if kind is list:
        return [whole(part) for part in value]
    return value
