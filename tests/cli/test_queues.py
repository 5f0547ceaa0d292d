from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.cli.run import wws
from wws.cli.store import opened_jobs
from wws.core.queue.delivery import Settlement
from wws.core.queue.message import packed

TOML = '[kv]\nstore = "lmdb:./state"\n[[queues]]\nbinding = "JOBS"\n[[queues]]\nbinding = "OTHER"\n'


@pytest.fixture
def project(folder: Path) -> Path:
    (folder / "wws.toml").write_text(TOML)

    async def fill() -> None:
        await jobs.send("JOBS", [packed({"n": number}) for number in range(3)])
        [first], _ = await jobs.lease("JOBS", 1, 60.0)
        await jobs.settle("JOBS", [Settlement(first, "dead", reason="ValueError: no")])

    with opened_jobs(folder / "wws.toml") as (_, jobs):
        asyncio.run(fill())
    return folder


def test_listing(project: Path) -> None:
    assert json.loads(wws("queues", "list", "--json").out) == [
        {"queue": "JOBS", "function": None, "ready": 2, "waiting": 0, "dead": 1},
        {"queue": "OTHER", "function": None, "ready": 0, "waiting": 0, "dead": 0},
    ]
    assert wws("queues", "list").out == "JOBS\t\t2\t0\t1\nOTHER\t\t0\t0\t0\n"


def test_peeking(project: Path) -> None:
    rows = wws("queues", "peek", "JOBS").out.splitlines()
    assert [row.split("\t")[4] for row in rows] == ['{"n":1}', '{"n":2}']
    [letter] = json.loads(wws("queues", "peek", "JOBS", "--dead", "--json").out)
    assert (letter["body"], letter["attempts"], letter["reason"]) == ({"n": 0}, 1, "ValueError: no")
    assert wws("queues", "peek", "JOBS", "--limit", "1").out.count("\n") == 1


def test_redriving_and_purging(project: Path) -> None:
    assert json.loads(wws("queues", "redrive", "JOBS", "--json").out) == {"queue": "JOBS", "redriven": 1}
    assert wws("queues", "redrive", "JOBS").out == "0 dead letters of JOBS will be delivered again\n"
    assert wws("queues", "purge", "JOBS", "--yes").out == "removed 3 messages of JOBS\n"
    assert json.loads(wws("queues", "purge", "JOBS", "--dead", "--yes", "--json").out) == {"queue": "JOBS", "purged": 0}


def test_a_purge_asks_first(project: Path) -> None:
    assert wws("queues", "purge", "JOBS").status == 1
    assert json.loads(wws("queues", "list", "--json").out)[0]["ready"] == 2


def test_a_queue_that_is_none(project: Path) -> None:
    done = wws("queues", "peek", "JOBBS")
    assert done.status == 2 and 'did you mean "JOBS"?' in done.err
    (project / "wws.toml").write_text("")
    assert "wws.toml has no [[queues]]" in wws("queues", "peek", "JOBS").err


def test_what_no_other_process_sees(project: Path) -> None:
    (project / "wws.toml").write_text('[kv]\nstore = "memory:"\n')
    done = wws("queues", "list")
    assert done.status == 1 and "which no other process sees" in done.err
