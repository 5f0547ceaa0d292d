"""What of the codec is written in C (`_json.c`): it is there where the package was built with a C compiler."""

from __future__ import annotations

from collections.abc import Callable

members: Callable[[bytes, int], list[tuple[str, int, int]] | None] | None = None

try:
    from wws import _json
except ImportError:
    pass
else:
    members = _json.members
