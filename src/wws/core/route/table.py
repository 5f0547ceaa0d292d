"""From method and path to the entry that serves it.

A pattern is an exact path, or has segments `:name` (any one segment) and may end in `*` (the rest of the path, which may be
empty). The most specific pattern of a path wins, segment by segment: literal before `:name` before `*`. The method is looked
at only then: a path whose pattern does not take the method is not handed to a wider pattern with other rules.

Matching is on the raw path. What a server behind may read as another path than it looks is found by `suspicious` and is not
routed at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Generic, NamedTuple, TypeVar
from urllib.parse import unquote

__all__ = ["Match", "Table", "suspicious"]

T = TypeVar("T")
NO_PARAMS: Final[Mapping[str, str]] = MappingProxyType({})

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# RFC 3986 section 3.3: pchar, less the colon and the asterisk, which begin and end patterns.
_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()+,;=@]|%[0-9A-Fa-f]{2})[A-Za-z0-9\-._~!$&'()+,;=@:%]*")
# What a server may decode, or cut, before it looks the path up: / \ ; NUL, and bytes that only overlong UTF-8 has.
_ESCAPED: Final = {
    "2f": "an encoded /",
    "5c": "an encoded \\",
    "3b": "an encoded ;",
    "00": "an encoded NUL",
    "c0": "an overlong escape",
    "c1": "an overlong escape",
}
_HEX: Final = frozenset("0123456789abcdef")


def suspicious(path: str) -> str | None:
    """Why this raw path must not be routed, or None.

    Empty and dot segments, plain or encoded, backslashes, and escapes of characters that part a path: servers disagree on
    them, and what one rule or cache sees below /public another serves from /private. They are refused, not normalised.
    """
    if "//" not in path and "/." not in path and "\\" not in path and "%" not in path and "\0" not in path:
        return None
    if "\\" in path:
        return "a backslash"
    if "\0" in path:
        return "a NUL"
    lowered = path.lower()
    for escape in lowered.split("%")[1:]:
        if escape[:2] in _ESCAPED:
            return _ESCAPED[escape[:2]]
        if len(escape) < 2 or escape[0] not in _HEX or escape[1] not in _HEX:
            return "a malformed percent-escape"
    if "//" in path:
        return "an empty segment"
    if any(segment in (".", "..") for segment in lowered.replace("%2e", ".").split("/")):
        return "a dot segment"
    return None


class Match(NamedTuple, Generic[T]):
    """`value` None: no entry takes this method here; then `allowed_methods` are those that some take, () when nothing is here."""

    value: T | None
    params: Mapping[str, str]
    allowed_methods: tuple[str, ...]


class _Leaf(Generic[T]):
    """The entries of one pattern: by method, and the one for all other methods."""

    __slots__ = ("by_method", "other")

    def __init__(self) -> None:
        self.by_method: dict[str, tuple[Match[T], tuple[str, ...]]] = {}  # the match without params, and the params' names
        self.other: tuple[Match[T], tuple[str, ...]] | None = None

    def add(self, methods: tuple[str, ...] | None, value: T, names: tuple[str, ...]) -> None:
        """An entry; HEAD is taken by what takes GET, unless it has one of its own (RFC 9110 section 9.3.2)."""
        entry: tuple[Match[T], tuple[str, ...]] = (Match(value, NO_PARAMS, ()), names)
        if methods is None:
            self.other = entry
            return
        self.by_method.update(dict.fromkeys(methods, entry))
        if "GET" in methods:
            self.by_method.setdefault("HEAD", entry)


class _Node(Generic[T]):
    """A segment of the patterns: what may follow it."""

    __slots__ = ("leaf", "literals", "param", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.param: _Node[T] | None = None
        self.leaf: _Leaf[T] | None = None  # the pattern that ends here
        self.rest: _Leaf[T] | None = None  # the pattern that ends in * here


class Table(Generic[T]):
    """Built once from `(pattern, methods, value)`; methods None: all of them. Raises `ValueError` for a pattern that is not
    well formed, and for two that would take the same requests."""

    __slots__ = ("_exact", "_nothing", "_prefixes", "_root")

    def __init__(self, entries: Iterable[tuple[str, Iterable[str] | None, T]]) -> None:
        self._nothing: Match[T] = Match(None, NO_PARAMS, ())
        self._exact: dict[str, _Leaf[T]] = {}
        self._prefixes: dict[str, _Leaf[T]] | None = {}  # "/a/" for /a/*; None once a pattern has :name
        self._root: _Node[T] = _Node()
        taken: dict[tuple[tuple[str, ...], str | None], str] = {}
        for pattern, methods, value in entries:
            segments, names = _parsed(pattern)
            leaf = self._leaf(pattern, segments, bool(names))
            listed = None if methods is None else tuple(dict.fromkeys(method.upper() for method in methods))
            if listed == ():
                raise ValueError(f"route {pattern!r}: an empty list of methods takes nothing; leave methods out for all")
            for method in listed or (None,):
                if (segments, method) in taken:
                    which = "" if method is None else f" for {method}"
                    raise ValueError(f"route {pattern!r}{which} is already taken by {taken[segments, method]!r}")
                taken[segments, method] = pattern
            leaf.add(listed, value, names)

    def match(self, method: str, path: str) -> Match[T]:
        """The entry for a raw path (no query)."""
        leaf = self._exact.get(path)
        values: tuple[str, ...] = ()
        if leaf is None:
            if self._prefixes is not None:
                leaf = _longest(self._prefixes, path)
            elif path.startswith("/"):
                leaf, values = _walk(self._root, path[1:].split("/"), 0, ()) or (None, ())
            if leaf is None:
                return self._nothing
        entry = leaf.by_method.get(method, leaf.other)
        if entry is None:
            return Match(None, NO_PARAMS, tuple(leaf.by_method))
        match, names = entry
        if not names:
            return match
        return match._replace(params={name: unquote(value) for name, value in zip(names, values, strict=True)})

    def _leaf(self, pattern: str, segments: tuple[str, ...], named: bool) -> _Leaf[T]:
        """The leaf of a pattern, made when it is not there."""
        if named:
            self._prefixes = None
        node = self._root
        for segment in segments:
            if segment == "*":
                node.rest = node.rest or _Leaf()
                if self._prefixes is not None:
                    self._prefixes[pattern[:-1]] = node.rest
                return node.rest
            if segment == ":":
                node.param = node.param or _Node()
                node = node.param
            else:
                node = node.literals.setdefault(segment, _Node())
        node.leaf = node.leaf or _Leaf()
        if not named:
            self._exact[pattern] = node.leaf
        return node.leaf


def _longest(prefixes: dict[str, _Leaf[T]], path: str) -> _Leaf[T] | None:
    """The leaf of the longest prefix that ends in a slash."""
    at = path.rfind("/")
    while at >= 0:
        leaf = prefixes.get(path[: at + 1])
        if leaf is not None:
            return leaf
        at = path.rfind("/", 0, at)
    return None


def _walk(node: _Node[T], parts: list[str], at: int, values: tuple[str, ...]) -> tuple[_Leaf[T], tuple[str, ...]] | None:
    """The most specific leaf for parts[at:], and what its `:name` segments stand for."""
    if at == len(parts):
        return None if node.leaf is None else (node.leaf, values)
    part = parts[at]
    found = None
    after = node.literals.get(part)
    if after is not None:
        found = _walk(after, parts, at + 1, values)
    if found is None and node.param is not None and part:
        found = _walk(node.param, parts, at + 1, (*values, part))
    if found is None and node.rest is not None:
        found = node.rest, values
    return found


def _parsed(pattern: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The segments of a pattern, `:` for each named one, and the names."""
    if not pattern.startswith("/"):
        raise ValueError(f"route {pattern!r} does not begin with /")
    reason = suspicious(pattern)
    if reason is not None:
        raise ValueError(f"route {pattern!r} has {reason}, which is never routed")
    parts = pattern[1:].split("/")
    names: list[str] = []
    segments: list[str] = []
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == "*":
            if not last:
                raise ValueError(f"route {pattern!r}: * stands for the rest of the path and can only be last")
        elif part.startswith(":"):
            if not _NAME.fullmatch(part[1:]) or part[1:] in names:
                raise ValueError(f"route {pattern!r}: {part!r} is not a name, or is there twice")
            names.append(part[1:])
            part = ":"
        elif not (last and not part) and not _LITERAL.fullmatch(part):
            raise ValueError(f"route {pattern!r}: the segment {part!r} is not allowed; percent-encode other characters")
        segments.append(part)
    return tuple(segments), tuple(names)
