"""From the name of a file in the functions folder to the path it serves.

    index.py            /                 api/index.py         /api and /api/
    api/hello.py        /api/hello        api/[id].py          /api/:id
    api/[...rest].py    /api/*            sitemap.xml.py       /sitemap.xml

A name that begins with `_`, or stands in a folder that does, is no path: such files are imported by others, or named by
`function:NAME`. `_middleware.py` runs around everything in its folder and below.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote

from wws.core.route.table import suspicious

__all__ = ["MIDDLEWARE", "Place", "middlewares_of", "place"]

MIDDLEWARE: Final = "_middleware"
_INDEX: Final = "index"
_PARAM: Final = re.compile(r"\[([A-Za-z_][A-Za-z0-9_]*)\]", re.ASCII)
_REST: Final = re.compile(r"\[\.\.\.([A-Za-z_][A-Za-z0-9_]*)\]", re.ASCII)
_PCHAR: Final = "!$&'()+,;=@:"  # RFC 3986 section 3.3; * begins the rest of a pattern, so it is escaped


class Place(NamedTuple):
    """Where a function is served. `aliases` are further exact paths of it. `rest` is the name of what `*` stands for, and the
    number of segments before it."""

    pattern: str
    aliases: tuple[str, ...] = ()
    rest: tuple[str, int] | None = None


def place(name: str) -> Place | None:
    """The place of a function by its name (`api/hello`); None for a name that is no path. Raises `ValueError`."""
    parts = name.split("/")
    if any(part.startswith("_") for part in parts):
        return None
    *folders, last = parts
    segments = [_segment(part) for part in folders]
    found = _REST.fullmatch(last)
    if found is not None:
        return Place("/" + "/".join([*segments, "*"]), (), (found[1], len(segments)))
    if last != _INDEX:
        return Place("/" + "/".join([*segments, _segment(last)]))
    if not segments:
        return Place("/")
    path = "/" + "/".join(segments)
    return Place(path, (path + "/",))


def _segment(part: str) -> str:
    found = _PARAM.fullmatch(part)
    if found is not None:
        return f":{found[1]}"
    if _REST.fullmatch(part):
        raise ValueError(
            f"found {part!r}, which stands for the rest of the path; allowed: as the name of a file, not of a folder"
        )
    if "[" in part or "]" in part:
        raise ValueError(f"found {part!r}; allowed: [name] for one segment, [...name] for the rest, name a Python name")
    encoded = quote(part, safe=_PCHAR)
    if (reason := suspicious(f"/{encoded}")) is not None:
        raise ValueError(f"found {part!r}, which has {reason} in its path; allowed: other names")
    return "%3A" + encoded[1:] if encoded.startswith(":") else encoded


def middlewares_of(name: str, there: frozenset[str]) -> tuple[str, ...]:
    """The names of the middlewares around a function, outermost first, of those that are `there`."""
    folders = name.split("/")[:-1]
    candidates = ["/".join([*folders[:depth], MIDDLEWARE]) for depth in range(len(folders) + 1)]
    return tuple([candidate for candidate in candidates if candidate in there and candidate != name])
