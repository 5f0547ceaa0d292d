"""docs/soak.md, written from a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.soak.load import CALLERS
from tests.soak.project import USERS
from tests.soak.verdict import GROWTH, Check

__all__ = ["page"]

_HEAD = """\
# What is left behind

<!-- Written by `make soak`: tests/soak, real sockets and processes. -->

{seconds:.0f} seconds of `wws serve` with {workers} workers: {callers} callers at a time, {asked} calls by {users} users.
Connections come and go, streams are left in the middle, providers fail in every way of `tests/support/provider.py`, second
routes are asked beside the first, heads are sent early, and the configuration is reloaded {reloads} times. What a gateway holds
must not grow with what it has done.

![memory, descriptors and tasks over time]({picture})

The first quarter (shaded) is warm-up; ticks are reloads.

"""

_TAIL = """
Memory is what the processes have for themselves (`RssAnon`), all together. Its trend is the median of the slopes between all
pairs of samples after the warm-up, times that time; {growth:.0%} or 3 MiB are allowed. "Quiet" is some seconds after the last
call, before the load and after it.

"""


def page(found: Sequence[Check], done: Counter[str], reloads: Sequence[float], seconds: float, workers: int, picture: str) -> str:
    """The page."""
    lines = ["| what | before | after | may grow by | |", "|---|---|---|---|---|"]
    for check in found:
        numbers = [f"{value:.1f} {check.unit}" if check.unit else f"{value:.0f}" for value in check[1:4]]
        lines.append(f"| {check.what} | {' | '.join(numbers)} | {'good' if check.good else 'NOT GOOD'} |")
    callers = ["| callers | times |", "|---|---|", *[f"| {name} | {count} |" for name, count in done.most_common()]]
    head = _HEAD.format(
        seconds=seconds, workers=workers, callers=CALLERS, asked=done.total(), users=USERS, reloads=len(reloads), picture=picture
    )
    return head + "\n".join(lines) + "\n" + _TAIL.format(growth=GROWTH) + "\n".join(callers) + "\n"
