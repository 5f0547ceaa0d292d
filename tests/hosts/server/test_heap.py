"""Memory of bodies is kept for the next ones."""

from __future__ import annotations

import platform
import subprocess
import sys

_PROGRAM = """
import resource
from wws.hosts.server.heap import retain

def faults() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        bodies = [bytes(300_000) for _ in range(20)]
        del bodies
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
print(retain(), before, (faults(), faults())[1])
"""


def test_bodies_that_follow_one_another_use_the_same_pages() -> None:
    """In a process of its own, since there is no way back."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    set_, before, after = done.stdout.split()
    if platform.libc_ver()[0] == "glibc":
        assert set_ == "True"
        assert int(before) > 10_000 > 1_000 > int(after)
    else:
        assert set_ in ("True", "False")
