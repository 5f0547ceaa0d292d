from __future__ import annotations

import re
import sqlite3
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.observe.seen import add, call
from tests.support.clock import FakeClock
from wws import codec
from wws.admin.dashboard import TARGETS, Dashboard
from wws.core.trail import Attempt, Usage
from wws.http import Response
from wws.observe.ledger import Ledger
from wws.observe.quantile import bucket
from wws.observe.tally import Tally
from wws.observe.watch import STEPS


async def status() -> dict[str, Any]:
    return {"name": "shop", "workers": []}


def dashboard(ledger: Path | None = None, *processes: dict[str, dict[str, int]]) -> Dashboard:
    async def gather(what: str, value: Any) -> list[Any]:
        assert (what, value) == ("steps", None)
        return [{**{name: {} for name in STEPS}, **one} for one in processes]

    return Dashboard(gather, status, lambda: "v1", ledger, FakeClock().time)


async def figures(of: Dashboard) -> Any:
    response = await of.figures()
    assert isinstance(response.body, bytes)
    return codec.decode(response.body)


def test_every_step_that_is_measured_is_shown() -> None:
    assert set(TARGETS) == set(STEPS)


def test_the_page_loads_nothing_from_elsewhere_and_its_policy_fits_it() -> None:
    page: Response = dashboard().page()
    assert isinstance(page.body, bytes)
    text = page.body.decode()
    assert not re.findall(r"(?:src|href)=|@import|url\(", text)
    assert " style=" not in text and not re.search(r" on\w+=", text)  # which the policy would not let
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for tag in ("script", "style"):
        [inside] = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert b64encode(sha256(inside.encode()).digest()).decode() in policy


async def test_steps_of_all_processes_with_their_targets() -> None:
    fast, slow = str(bucket(0.001)), str(bucket(0.9))
    told = await figures(dashboard(None, {"auth_known": {fast: 98}}, {"auth_known": {fast: 1, slow: 1}}))
    step = next(one for one in told["steps"] if one["step"] == "auth_known")
    assert (step["count"], step["target"]) == (100, 0.010)
    assert 0.001 <= step["p50"] < 0.0011 and step["p99"] < 0.0011
    assert next(one for one in told["steps"] if one["step"] == "route")["p99"] is None
    assert (told["release"], told["status"]["name"], told["cost"]) == ("v1", "shop", None)


async def test_what_today_cost(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    clock, tally = FakeClock(), Tally()
    ledger = Ledger(file, clock.time, {})
    tally.reader(ledger.absorb)
    add(tally, call(Attempt("zai", "glm-4.7", "ok", 1.0), usage=Usage(1_000_000, 0)))
    tally.drain()
    rows = ledger.take()
    _write(file, ledger, rows)
    assert (await figures(dashboard(file)))["cost"] == {"usd": 0.6, "tokens_in": 1_000_000, "tokens_out": 0}
    assert (await figures(dashboard(tmp_path / "none.sqlite")))["cost"]["usd"] == 0


def _write(file: Path, ledger: Ledger, rows: list[tuple[object, ...]]) -> None:
    """In a thread, as the gateway does."""
    import threading

    writing = threading.Thread(target=ledger.write, args=(rows,))
    writing.start()
    writing.join()
    assert file.exists()


async def test_a_ledger_that_cannot_be_read_is_no_reason_to_show_nothing(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"this is no database" * 100)
    assert (await figures(dashboard(tmp_path / "ledger.sqlite")))["cost"] is None
    assert issubclass(sqlite3.DatabaseError, sqlite3.Error)
