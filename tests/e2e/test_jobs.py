"""Cron ticks, queues and runs by hand, as a user has them."""

from __future__ import annotations

import json
import signal
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.e2e.ask import ask
from tests.e2e.program import Gateway, until
from tests.e2e.projects import SERVER
from tests.project.functions.write import write
from tests.support.redis import RedisServer, require_redis

BASE = SERVER + '[kv]\nstore = "lmdb:../state"\n[limits]\naddress = "off"\ndefault = "100000/min"\n'
LOG = """
import os, json

def note(**fields):
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps({**fields, "pid": os.getpid()}) + "\\n")
"""


class Notes:
    """What functions have written down."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "notes.jsonl"
        self.file.touch()
        self.env = {"NOTES": str(self.file), "WWS_PEPPER": "0" * 64}

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]


def sample(gateway: Gateway, name: str) -> float:
    """The sum of a metric's series."""
    lines = ask(gateway.admin_url, "/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


QUEUE = (
    BASE
    + """
[[queues]]
binding = "JOBS"
function = "work"
max_batch = 5
max_retries = 1
retry_delay = "0s"
visibility = "1s"
"""
)
WORK = """
import asyncio
from lib.notes import note
from wws import Response

config = {"auth": "none"}

async def post(request, env, ctx):
    ids = await env.JOBS.send_batch(await request.json())
    return Response.json({"ids": ids}, 202)

async def queue(batch, env, ctx):
    for message in batch.messages:
        note(body=message.body, attempts=message.attempts)
        if message.body == "hold" and message.attempts == 1:
            await asyncio.sleep(600)
        if message.body == "bad":
            raise ValueError("cannot do that")
        message.ack()
"""


def test_a_queue_from_sending_to_dead_letters(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    write(tmp_path / "a" / "functions", {"work.py": WORK, "lib/notes.py": LOG})
    gateway = Gateway(tmp_path / "a", QUEUE, env=notes.env)
    gateway.start()
    sent = ask(gateway.url, "/work", "POST", body=["one", {"two": 2}, "bad"])
    assert sent.status == 202 and len(sent.json["ids"]) == 3
    until(lambda: sum(row["body"] == "bad" for row in notes.rows) == 2, "the second try")

    def listed() -> Any:
        found = json.loads(gateway.run("queues", "list", "--json", env=notes.env).out)
        return found if found[0]["dead"] == 1 else None

    assert until(listed, "the dead letter") == [{"queue": "JOBS", "function": "work", "ready": 0, "waiting": 0, "dead": 1}]
    letters = json.loads(gateway.run("queues", "peek", "JOBS", "--dead", "--json", env=notes.env).out)
    assert [(one["body"], one["attempts"], one["reason"]) for one in letters] == [("bad", 2, "ValueError: cannot do that")]
    assert Counter(json.dumps(row["body"]) for row in notes.rows) == {'"one"': 1, '{"two": 2}': 1, '"bad"': 2}
    assert sample(gateway, "wws_queue_sent_total") == 3.0
    assert sample(gateway, "wws_queue_deliveries_total") == 4.0
    assert gateway.run("queues", "redrive", "JOBS", env=notes.env).out == "1 dead letter of JOBS will be delivered again\n"
    until(lambda: sum(row["body"] == "bad" for row in notes.rows) == 4, "two more tries")
    until(listed, "the dead letter again")
    assert gateway.run("queues", "purge", "JOBS", "--dead", "--yes", env=notes.env).out == "removed 1 dead letter of JOBS\n"
    assert gateway.stop() == 0
    assert "ValueError: cannot do that" in gateway.stderr and "is a dead letter after 2 deliveries" in gateway.stderr


def test_a_message_survives_the_kill_of_who_held_it(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    gateways = []
    for name in ("a", "b"):
        write(tmp_path / name / "functions", {"work.py": WORK, "lib/notes.py": LOG})
        gateways.append(Gateway(tmp_path / name, QUEUE, env=notes.env))
        gateways[-1].start()
    assert ask(gateways[0].url, "/work", "POST", body=["hold"]).status == 202
    held = until(lambda: notes.rows, "the delivery")[0]
    holder = next(one for one in gateways if one.process is not None and one.process.pid == held["pid"])
    other = next(one for one in gateways if one is not holder)
    assert holder.process is not None
    holder.process.send_signal(signal.SIGKILL)
    holder.process.wait()
    again = until(lambda: notes.rows[1:], "the second delivery")[0]
    assert (again["body"], again["attempts"]) == ("hold", 2)
    assert other.process is not None and again["pid"] == other.process.pid

    def empty() -> bool:
        listed = json.loads(other.run("queues", "list", "--json", env=notes.env).out)[0]
        return (listed["ready"], listed["waiting"], listed["dead"]) == (0, 0, 0)

    until(empty, "the end of the message")
    assert other.stop() == 0


CRON = BASE + '[triggers]\ncrons = ["* * * * *", {cron = "30 4 * * *", function = "tidy", timezone = "Europe/Berlin"}]\n'
TIDY = """
from lib.notes import note

async def scheduled(event, env, ctx):
    note(cron=event.cron, at=event.scheduled_time.isoformat(), manual=event.manual)
    if event.cron == "fail":
        raise LookupError("nothing to tidy")
"""


def test_a_function_is_run_by_hand(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    write(tmp_path / "a" / "functions", {"tidy.py": TIDY, "lib/notes.py": LOG})
    gateway = Gateway(tmp_path / "a", CRON, env=notes.env)
    gateway.start()
    ran = gateway.run("trigger", "tidy", "--json", env=notes.env)
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["outcome"] == "ok"
    assert [row["manual"] for row in notes.rows if row["cron"] == ""] == [True]
    failed = gateway.run("trigger", "tidy", "--cron", "fail", env=notes.env)
    assert (failed.status, failed.err) == (1, "error: tidy: LookupError: nothing to tidy\n")
    unknown = gateway.run("trigger", "tdy", env=notes.env)
    assert unknown.status == 2 and 'did you mean "tidy"?' in unknown.err
    assert sample(gateway, "wws_cron_runs_total") >= 2.0
    assert gateway.stop() == 0
    assert "LookupError: nothing to tidy" in gateway.stderr


def test_a_tick_fires_once_over_eight_workers_of_two_gateways(tmp_path: Path) -> None:
    require_redis()
    notes = Notes(tmp_path)
    with RedisServer() as redis:
        toml = (
            SERVER
            + f'workers = 4\n[kv]\nstore = "{redis.address}"\n'
            + '[triggers]\ncrons = [{cron = "* * * * * *", function = "tidy"}]\n'
        )
        gateways = []
        for name in ("a", "b"):
            write(tmp_path / name / "functions", {"tidy.py": TIDY, "lib/notes.py": LOG})
            gateways.append(Gateway(tmp_path / name, toml, env=notes.env))
            gateways[-1].start()
        began = len(notes.rows)
        until(lambda: len(notes.rows) >= began + 6, "six ticks")
        for gateway in gateways:
            assert gateway.stop() == 0
    ticks = Counter(row["at"] for row in notes.rows)
    assert len(ticks) >= 6 and set(ticks.values()) == {1}, ticks
    times = sorted(ticks)
    spans = [datetime.fromisoformat(b) - datetime.fromisoformat(a) for a, b in pairwise(times)]
    assert all(span.microseconds == 0 and span.total_seconds() >= 1 for span in spans)
