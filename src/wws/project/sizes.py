"""Sizes in bytes as text: `512`, `64KiB`, `32MiB`, `1GB`."""

from __future__ import annotations

import re

__all__ = ["ALLOWED", "octets"]

UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
ALLOWED = 'a size such as 65536, "64KiB" or "32MiB"'

_SIZE = re.compile(r"([0-9]{1,15}) ?([A-Za-z]{0,3})", re.ASCII)


def octets(value: str | int) -> int:
    """The bytes of a size. Raises `ValueError` for what is none."""
    if isinstance(value, int):
        if isinstance(value, bool) or value < 0:
            raise ValueError(f"not {ALLOWED}")
        return value
    found = _SIZE.fullmatch(value)
    if found is None or found[2] not in UNITS:
        raise ValueError(f"not {ALLOWED}")
    return int(found[1]) * UNITS[found[2]]
