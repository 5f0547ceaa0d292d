"""What Python's garbage collector is told at the edge, where a look through the whole memory costs more than a request."""

from __future__ import annotations

import gc
from typing import Final

__all__ = ["settled"]

_YOUNG: Final = 20_000
"""Objects made more than freed until the collector looks, as on the self-hosted server: requests leave few cycles behind."""


def settled() -> None:
    """All that is alive now stays: the collector passes it by."""
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
