"""What of JSON is written in C (`_json.c`): it is there where the package was built with a C compiler; None without it.

What these take, `wws.codec`, `core.wire.usage` and `providers.verdict` read alike, which is what they are held against. What they
do not take they leave to those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["good", "join", "members", "told"]

members: Callable[[bytes, int], dict[str, bytes | memoryview] | None] | None = None
join: Callable[[dict[str, Any]], bytes | None] | None = None
good: Callable[[bytes], bool] | None = None
told: Callable[[bytes, Any], tuple[Any, str] | None] | None = None

try:
    from wws import _json
except ImportError:
    pass
else:
    members, join, good, told = _json.members, _json.join, _json.good, _json.told
