"""What counting one request came to."""

from __future__ import annotations

from typing import NamedTuple


class Decision(NamedTuple):
    """`remaining` whole requests are left now; `retry_after` seconds until one would be admitted (0.0 when this one was);
    `reset_after` seconds until the whole limit is free again if nothing else is asked."""

    allowed: bool
    remaining: int
    retry_after: float
    reset_after: float
