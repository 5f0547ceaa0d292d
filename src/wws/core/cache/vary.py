"""Which request fields select a stored answer (RFC 9111 section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["matches", "names", "select"]

Pair = tuple[bytes, bytes]
Selection = tuple[tuple[bytes, bytes | None], ...]


def names(headers: list[Pair]) -> tuple[bytes, ...] | None:
    """The field names that `Vary` lists, lower case, sorted, each once; None when one of its members is `*`.

    "A stored response with a Vary header field value containing a member "*" always fails to match."
    """
    found: set[bytes] = set()
    for field, value in headers:
        if field == b"vary":
            found.update(member.strip(b" \t").lower() for member in value.split(b","))
    found.discard(b"")
    return None if b"*" in found else tuple(sorted(found))


def select(fields: tuple[bytes, ...], raw: list[Pair]) -> Selection:
    """What a request with the fields `raw` has for each of `fields`; None for one it lacks.

    Lines of one field are joined: "multiple header fields with the same field name" select as their combination.
    """
    return tuple([(name, _value(name, raw)) for name in fields])


def matches(selection: Selection, raw: list[Pair], first: Mapping[bytes, bytes]) -> bool:
    """Whether a request selects what was stored for `selection`. `first` is the name-to-value dictionary of `raw`."""
    if len(first) != len(raw):  # a field repeats: its lines have to be joined
        return select(tuple([name for name, _ in selection]), raw) == selection
    for name, value in selection:
        if first.get(name) != value:
            break
    else:
        return True
    return False


def _value(name: bytes, raw: list[Pair]) -> bytes | None:
    values = [value for field, value in raw if field == name]
    return b", ".join(values) if values else None
