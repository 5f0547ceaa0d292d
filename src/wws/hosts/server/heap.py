"""Tells the C library to keep the memory of request bodies for the next ones.

glibc gives the free end of the heap back to the kernel as soon as it is a few times as large as the largest block so far
(mallopt(3), M_TRIM_THRESHOLD), and asks for it again with the next body: a page fault for each 4 KiB, each time. Under
prompts of 200 KB that was a quarter of the CPU.
"""

from __future__ import annotations

from typing import Final

__all__ = ["KEPT", "retain"]

KEPT: Final = 32 * 1024 * 1024
"""Bytes at the end of the heap that stay with the process while they are free."""
_LARGEST: Final = 4 * 1024 * 1024
"""Bytes from which a block is the kernel's own again when it is freed. Bodies of this size are rare."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def retain() -> bool:
    """Sets both thresholds for this process. False: its C library has no such setting, and nothing was changed."""
    import ctypes  # it costs a start 3 ms, so this is called behind it

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_M_TRIM_THRESHOLD, KEPT))
