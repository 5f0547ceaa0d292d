"""The dashboard: a page of the admin listener, and the figures it asks for every two seconds."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from wws.admin.tail import Gather
from wws.http import Response
from wws.observe.cost import costs
from wws.observe.quantile import merged, percentile

__all__ = ["TARGETS", "Dashboard"]

TARGETS: Final[dict[str, tuple[str, float | None]]] = {
    "auth_known": ("Who is it: known already", 0.010),
    "auth_asked": ("Who is it: the auth server asked", 0.300),
    "limit": ("May they", 0.005),
    "route": ("Which model", 0.002),
    "cache_hit": ("Answer from cache", 0.010),
    "first_token": ("First token, first model", 5.0),
    "first_token_fallback": ("First token, after a fallback", 10.0),
    "overhead": ("Gateway's own share of a request", None),
}
"""The steps that are measured: what they are called, and how many seconds their p99 may take."""


class Dashboard:
    """`status` gives the gateway's, `release` the version that answers; `ledger` is its file, None where there is none."""

    def __init__(
        self,
        gather: Gather,
        status: Callable[[], Awaitable[dict[str, Any]]],
        release: Callable[[], str],
        ledger: Path | None,
        time: Callable[[], float],
    ) -> None:
        self._gather = gather
        self._status = status
        self._release = release
        self._ledger = ledger
        self._time = time

    def page(self) -> Response:
        """The page. Its policy allows its own script and style, by their digests, and nothing else."""
        return Response.html(
            _PAGE,
            headers={
                "content-security-policy": _POLICY, "cache-control": "no-cache", "x-content-type-options": "nosniff",
                "referrer-policy": "no-referrer", "x-frame-options": "DENY",
            },
        )  # fmt: skip

    async def figures(self) -> Response:
        """What the page shows, beside what it reads from `/metrics`. Raises `WwsError`."""
        answers = await self._gather("steps", None)
        steps = []
        for name, (words, target) in TARGETS.items():
            counts = merged([{int(place): count for place, count in one[name].items()} for one in answers])
            steps.append(
                {
                    "step": name, "name": words, "count": sum(counts.values()), "p50": percentile(counts, 0.5),
                    "p99": percentile(counts, 0.99), "target": target,
                }
            )  # fmt: skip
        told = {"status": await self._status(), "release": self._release(), "steps": steps, "cost": await self._cost()}
        return Response.json(told, headers={"cache-control": "no-store"})

    async def _cost(self) -> dict[str, float] | None:
        if self._ledger is None:
            return None
        now = self._time()
        try:
            rows = await asyncio.to_thread(costs, self._ledger, ["day"], now - now % 86_400)
        except sqlite3.Error:
            return None
        return {
            "usd": sum(row.cost_usd for row in rows),
            "tokens_in": sum(row.tokens_in for row in rows),
            "tokens_out": sum(row.tokens_out for row in rows),
        }


def _page() -> tuple[str, str]:
    """The page and its Content-Security-Policy (W3C CSP3)."""
    text = files("wws.admin").joinpath("dashboard.html").read_text("utf-8")

    def digest(tag: str) -> str:
        [inside] = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        return f"'sha256-{b64encode(sha256(inside.encode()).digest()).decode()}'"

    policy = (
        f"default-src 'none'; script-src {digest('script')}; style-src {digest('style')}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy


_PAGE, _POLICY = _page()
