"""What lives when a host is ready is no longer looked through. In a process of its own: a collector is for a whole process."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
from wws.hosts.edge.memory import settled
kept = [[] for _ in range(1000)]
settled()
assert gc.get_freeze_count() > 1000
assert not any(one is kept[0] for one in gc.get_objects())
print(gc.get_threshold()[0])
"""


def test_what_is_alive_is_passed_by() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=30, stdout=subprocess.PIPE, text=True)
    assert done.stdout == "20000\n"
