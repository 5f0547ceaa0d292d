"""Cookies: those a request brings, and the line that sets one (RFC 6265)."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["parse", "render"]

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")  # section 4.1.1: cookie-octet
_ATTRIBUTE: Final = re.compile(r"[\x20-\x3a\x3c-\x7e]*")  # any CHAR except CTLs or ";"


def parse(header: str | None) -> dict[str, str]:
    """Name to value of a `Cookie` header. Of a name that repeats the first counts: browsers send the most specific path first."""
    found: dict[str, str] = {}
    for pair in (header or "").split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals and name:
            value = value.strip()
            found.setdefault(name.strip(), value[1:-1] if value[:1] == value[-1:] == '"' and len(value) > 1 else value)
    return found


def render(
    name: str, value: str, *, max_age: int | None, path: str, domain: str | None, secure: bool, http_only: bool, same_site: str
) -> str:
    """The value of `Set-Cookie`. Raises `ValueError` for what would not come back as it was sent."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not a cookie's name")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of cookie {name} has a space, quote, comma, semicolon or backslash: encode it")
    if same_site == "None" and not secure:
        raise ValueError("SameSite=None is taken from secure cookies only")
    for attribute in (path, domain or ""):
        if not _ATTRIBUTE.fullmatch(attribute):
            raise ValueError(f"{attribute!r} cannot stand in a cookie")
    parts = [f"{name}={value}", f"Path={path}"]
    parts += [] if max_age is None else [f"Max-Age={int(max_age)}"]
    parts += [] if domain is None else [f"Domain={domain}"]
    parts += ["Secure"] if secure else []
    parts += ["HttpOnly"] if http_only else []
    return "; ".join([*parts, f"SameSite={same_site}"])
