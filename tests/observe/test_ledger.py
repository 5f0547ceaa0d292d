"""Who used what: rows of a real SQLite file."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.observe.seen import FAILED, add, call, page
from tests.support.clock import FakeClock
from wws.core.auth.user import User
from wws.core.policy import ProviderConfig
from wws.core.route.catalogue import cost_of, price_of
from wws.core.trail import Attempt, Usage
from wws.observe.ledger import Ledger
from wws.observe.tally import Tally

PROVIDERS = {"main": ProviderConfig("main", "openai"), "z": ProviderConfig("z", "zai")}


class World:
    """A tally with its ledger at `file`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.clock = FakeClock(wall=60.0 * 1000)
        self.tally = Tally()
        self.ledger = Ledger(file, self.clock.time, PROVIDERS)
        self.tally.reader(self.ledger.absorb)

    def write(self) -> None:
        self.tally.drain()
        self.ledger.write(self.ledger.take())

    @property
    def rows(self) -> list[dict[str, Any]]:
        connection = sqlite3.connect(self.file)
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute("SELECT * FROM usage ORDER BY minute, subject, key_id, model")]
        connection.close()
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "ledger.sqlite")


def test_one_row_for_a_minute_of_one_caller(world: World) -> None:
    for _ in range(3):
        add(world.tally, call())
    world.write()
    assert world.rows == [
        {
            "minute": 1000, "subject": "u-1", "key_id": "", "route": "/api/ai/*", "provider": "main", "model": "coder",
            "requests": 3, "errors": 0, "attempts": 3, "tokens_in": 30, "tokens_out": 15, "tokens_cached": 6, "cost_usd": 0.0,
        }
    ]  # fmt: skip


def test_later_rows_of_the_same_minute_are_added_and_the_next_minute_is_another(world: World) -> None:
    add(world.tally, call())
    world.write()
    world.clock.advance(5.0)
    add(world.tally, call())
    world.write()
    world.clock.advance(55.0)
    add(world.tally, call())
    world.write()
    assert [(row["minute"], row["requests"], row["tokens_in"]) for row in world.rows] == [(1000, 2, 20), (1001, 1, 10)]


def test_failures_are_counted_with_what_they_tried(world: World) -> None:
    add(world.tally, call(FAILED, FAILED, usage=None), status=504)
    add(world.tally, call(FAILED, Attempt("main", "coder", "ok", 0.1)), outcome="cut")
    world.write()
    lost, cut = world.rows
    assert (lost["provider"], lost["model"], lost["requests"], lost["errors"], lost["attempts"]) == ("", "", 1, 1, 2)
    assert (cut["provider"], cut["requests"], cut["errors"], cut["attempts"]) == ("main", 1, 1, 2)


def test_callers_keys_and_models_have_rows_of_their_own(world: World) -> None:
    for user in (User("u-1"), User("u-2"), User("key:k", key_id="k")):
        add(world.tally, call(user=user))
    add(world.tally, call(Attempt("main", "thinker", "ok", 0.1)))
    world.write()
    assert [(row["subject"], row["key_id"], row["model"]) for row in world.rows] == [
        ("key:k", "k", "coder"),
        ("u-1", "", "coder"),
        ("u-1", "", "thinker"),
        ("u-2", "", "coder"),
    ]


def test_only_calls_of_providers_cost(world: World) -> None:
    add(world.tally, page())
    add(world.tally, call(error_type="policy_rate_limited", attempts=[]), status=429)
    world.write()
    assert not world.file.exists()


def test_what_a_model_costs(world: World) -> None:
    usage = Usage(1_000_000, 500_000, 200_000)
    known = cost_of(price_of(None, "zai", "glm-4.6"), usage)
    assert known > 0
    add(world.tally, call(Attempt("z", "glm-4.6", "ok", 1.0), usage=usage))
    world.write()
    assert world.rows[0]["cost_usd"] == pytest.approx(known)


def test_without_a_file_nothing_is_kept(tmp_path: Path) -> None:
    tally, ledger = Tally(), Ledger(None, FakeClock().time, PROVIDERS)
    tally.reader(ledger.absorb)
    add(tally, call())
    tally.drain()
    assert ledger.take() == []
    ledger.write([("never",)])
    assert list(tmp_path.iterdir()) == []


def test_rows_are_taken_once(world: World) -> None:
    add(world.tally, call())
    world.tally.drain()
    assert len(world.ledger.take()) == 1
    assert world.ledger.take() == []


def test_a_file_that_cannot_be_written_is_said_and_changes_nothing(world: World) -> None:
    world.file.write_bytes(b"this is no database, and long enough to be looked at as one" * 20)
    before = world.file.read_bytes()
    add(world.tally, call())
    with pytest.raises(sqlite3.DatabaseError):
        world.write()
    assert world.file.read_bytes() == before


def test_a_row_that_cannot_be_written_takes_the_others_back(world: World) -> None:
    add(world.tally, call())
    world.tally.drain()
    good = world.ledger.take()
    with pytest.raises(sqlite3.Error):
        world.ledger.write([*good, ("too", "few")])
    world.ledger.write(good)
    assert [row["requests"] for row in world.rows] == [1]


def test_a_reader_beside_it_is_not_in_the_way(world: World) -> None:
    """`wws cost` and the like read while the gateway writes: the file is in WAL mode."""
    add(world.tally, call())
    world.write()
    reader = sqlite3.connect(world.file)
    reader.execute("BEGIN")
    assert reader.execute("SELECT requests FROM usage").fetchall() == [(1,)]
    add(world.tally, call())
    writer = threading.Thread(target=world.write)
    writer.start()
    writer.join(10)
    assert not writer.is_alive()
    assert reader.execute("SELECT requests FROM usage").fetchall() == [(1,)]  # what it began with
    reader.close()
    assert [row["requests"] for row in world.rows] == [2]


def write_often(file: Path, times: int) -> None:
    """What one worker does, many times over."""
    world = World(file)
    for _ in range(times):
        add(world.tally, call())
        world.write()


def test_several_processes_write_at_once_and_nothing_is_lost(world: World) -> None:
    world.ledger.create()
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(world.file, 25)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(50)
        assert writer.exitcode == 0
    assert [(row["requests"], row["tokens_in"]) for row in world.rows] == [(100, 1000)]
