"""Scheduled functions by `Deno.cron` (docs.deno.com/runtime/fundamentals/cron).

It calls in every process that runs, and does not say for which minute. So the minute is that of the clock, and a tick is claimed
in the database before it runs: one of all processes runs it. A claim is never given back, as elsewhere: what fails is told in the
log, and not tried again.
"""

from __future__ import annotations

import logging
from typing import Final

from wws.errors import StoreError
from wws.hosts.deno.database import Database
from wws.hosts.edge.app import EdgeApp
from wws.hosts.edge.background import Keep

__all__ = ["run_tick"]

_log = logging.getLogger("wws.triggers")
_TABLE: Final = "t"
_EARLY: Final = 5.0
"""Seconds that a timer of the platform may ring before its minute."""
_KEPT: Final = 86_400_000.0
"""Milliseconds that a claim is kept: no process comes later for a tick."""


async def run_tick(app: EdgeApp, database: Database, cron: str, keep: Keep) -> None:
    """Runs what is due by the expression `cron` now, if no other process does. Raises nothing."""
    minute = (app.env.wws.clock.time() + _EARLY) // 60 * 60
    try:
        mine = await database.swap(_TABLE, f"{cron} {minute:.0f}", "", b"1", _KEPT)
    except StoreError as error:
        _log.error("a tick of %s is missed: %s", cron, error)
        return
    if mine:
        await app.scheduled(cron, minute, keep)
