"""The part of RFC 9651 (structured field values) that the limit fields use, parsed strictly: a List of Items with Parameters."""

from __future__ import annotations

import re

Item = tuple[str | int, dict[str, str | int]]

_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')  # section 3.3.3
_INTEGER = re.compile(r"-?[0-9]{1,15}")  # section 3.3.1
_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")  # section 3.1.2


def parse_list(text: str) -> list[Item]:
    """The members (section 4.2.1), or `ValueError`."""
    members: list[Item] = []
    at = 0
    while True:
        value, at = _bare_item(text, at)
        parameters: dict[str, str | int] = {}
        while text[at : at + 1] == ";":
            key = _KEY.match(text, at + 1)
            if key is None or text[key.end() : key.end() + 1] != "=":
                raise ValueError(f"no parameter at {at} of {text!r}")
            parameters[key[0]], at = _bare_item(text, key.end() + 1)
        members.append((value, parameters))
        if at == len(text):
            return members
        if text[at : at + 2] != ", ":
            raise ValueError(f"unexpected {text[at:]!r}")
        at += 2


def _bare_item(text: str, at: int) -> tuple[str | int, int]:
    if found := _STRING.match(text, at):
        return re.sub(r"\\(.)", r"\1", found[1]), found.end()
    if found := _INTEGER.match(text, at):
        return int(found[0]), found.end()
    raise ValueError(f"no item at {at} of {text!r}")
