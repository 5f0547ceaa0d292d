"""Request lines: valid JSON, each once, an allow-list without secrets."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.observe.seen import FAILED, OK, call, page
from tests.support.clock import FakeClock
from wws.bindings import Context
from wws.core.auth.user import User
from wws.core.trail import Attempt, Usage
from wws.http import Body, Request
from wws.observe import log as module
from wws.observe import tally as tallying
from wws.observe.log import Level, Redacting, RequestLog
from wws.observe.tally import Tally

PLANTED = "sk-planted-0123456789abcdef"
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl"


class World:
    """A log that writes into `written`, and the tally whose cells it uses."""

    def __init__(self, level: Level = "all") -> None:
        self.clock = FakeClock(wall=1_790_000_000.125)
        self.written: list[bytes] = []
        self.tally = Tally()
        self.log = RequestLog(
            level,
            loop=asyncio.get_running_loop(),
            time=self.clock.time,
            pepper=b"p" * 32,
            version="v-1",
            write=self.written.append,
        )

    def add(
        self, seen: tuple[Request, Context], status: int = 200, outcome: str = "done", sent: int = 100, total: float = 0.25
    ) -> None:
        cell = self.tally.add(*seen, status, outcome, sent, total)
        self.log.add(*seen, status, outcome, sent, total, cell)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """All lines so far; fails when one is no JSON object or does not end."""
        self.log.flush()
        text = b"".join(self.written).decode()
        assert text.endswith("\n") or not text
        return [json.loads(line) for line in text.split("\n") if line]

    def line(self, seen: tuple[Request, Context], **facts: Any) -> dict[str, Any]:
        """The line of one request."""
        before = len(self.lines)
        self.add(seen, **facts)
        [line] = self.lines[before:]
        return line


async def test_the_line_of_a_page() -> None:
    world = World()
    line = world.line(page(user=User("u-1", key_id="k-1"), cache_outcome="hit", upstream=0.2))
    assert line == {
        "ts": 1790000000.125,
        "request_id": "req-1",
        "duration_ms": 250.0,
        "overhead_ms": 50.0,
        "bytes_in": 0,
        "bytes_out": 100,
        "route": "/*",
        "method": "GET",
        "status": 200,
        "outcome": "done",
        "error_type": None,
        "config_version": "v-1",
        "subject_hash": line["subject_hash"],
        "key_id": "k-1",
        "cache": "hit",
    }
    assert len(line["subject_hash"]) == 16


async def test_the_line_of_a_call() -> None:
    world = World()
    seen = call(FAILED, Attempt("backup", "coder", "ok", 0.3), headers={"x-stainless-retry-count": "2"}, model_requested="auto")
    line = world.line(seen, total=10.5)
    assert (line["provider"], line["model_served"], line["model_requested"]) == ("backup", "coder", "auto")
    assert line["attempts"] == [["main", "coder", "provider_timeout", 10000.0], ["backup", "coder", "ok", 300.0]]
    assert (line["tokens_in"], line["tokens_out"], line["tokens_cached"]) == (10, 5, 2)
    assert (line["route_reason"], line["stream"], line["limit_rule"]) == ("Standard code task", False, "chat")
    assert line["client_retry_count"] == 2
    assert (line["bytes_in"], line["overhead_ms"]) == (2, 200.0)
    assert "cache" not in line


async def test_lines_of_one_cell_share_only_what_they_have_in_common() -> None:
    world = World()
    lines = [
        world.line(call(usage=Usage(1, 2, 0)), sent=7, total=0.5),
        world.line(call(FAILED, OK, usage=None), sent=8, total=0.75),
        world.line(call(degraded=("limit",), model_requested="code"), sent=9),
    ]
    assert [line["bytes_out"] for line in lines] == [7, 8, 9]
    assert [line.get("tokens_in") for line in lines] == [1, None, 10]
    assert [len(line.get("attempts", ())) for line in lines] == [0, 2, 0]
    assert [line.get("degraded") for line in lines] == [None, None, ["limit"]]
    assert [line.get("model_requested") for line in lines] == [None, None, "code"]
    assert len({line["subject_hash"] for line in lines}) == 1


async def test_callers_who_were_counted_together_keep_their_own_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallying, "MAX_CELLS", 1)
    world = World()
    hashes = [world.line(call(user=User(f"u-{number}")))["subject_hash"] for number in (0, 1, 2, 1, 0)]
    assert len(set(hashes)) == 3
    assert hashes == [hashes[0], hashes[1], hashes[2], hashes[1], hashes[0]]


async def test_a_subject_is_told_apart_but_not_told() -> None:
    world, other = World(), World()
    names = ["ada@example.com", "bob@example.com"]
    hashes = [world.line(page(user=User(name)))["subject_hash"] for name in names]
    assert hashes[0] != hashes[1]
    assert hashes[0] == other.line(page(user=User(names[0])))["subject_hash"]
    other.log._pepper = b"q" * 32
    assert other.line(page("/b", user=User(names[0]), cache_outcome="miss"))["subject_hash"] != hashes[0]
    assert b"example.com" not in b"".join(world.written)


async def test_nothing_of_the_message_is_logged() -> None:
    """Neither credentials nor what was asked: only what the allow-list names."""
    world = World()
    request = Request(
        "POST",
        f"/api/{PLANTED}/chat?access_token={JWT}",
        {"authorization": f"Bearer {JWT}", "cookie": f"sb={JWT}", "x-api-key": PLANTED, "user-agent": PLANTED},
        b'{"messages": "the planted prompt"}',
        client="198.51.100.77",
    )
    ctx = call()[1]
    request.route, request.user = call()[0].route, ctx.user
    for status in (200, 401, 500):
        world.add((request, ctx), status)
    text = b"".join(world.written) if world.lines else b""
    assert len(world.lines) == 3
    for planted in (PLANTED, JWT, "planted prompt", "access_token", "198.51.100.77", "/api/sk-"):
        assert planted.encode() not in text


@given(
    st.text(max_size=300), st.text(st.characters(codec="utf-8"), max_size=20), st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=12),
)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_line_is_one_line_of_json_whatever_callers_and_providers_say(
    asked: str, model: str, user: str, retries: str
) -> None:
    world = World()
    asked = asked.encode("utf-8", "replace").decode()
    seen = call(
        Attempt("main", model, "provider_error", 0.1),
        Attempt("main", model, "ok", 0.1),
        user=User(user),
        model_requested=asked,
        headers={"x-stainless-retry-count": retries},
    )
    line = world.line(seen)
    assert line["model_served"] == model
    assert line["model_requested"] == asked[:128]
    assert line["attempts"][0][1] == model


async def test_names_that_callers_choose_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TEXTS", 10)
    world = World()
    for number in range(35):
        world.add(call(model_requested=f"{number}" + "x" * 1_000_000))
    assert len(world.log._models) <= 10
    assert sum(map(len, world.log._models.values())) < 2000
    assert len(world.lines) == 35


async def test_a_body_of_unknown_length() -> None:
    world = World()
    request, ctx = call()
    request.body = Body(b"")
    request.body.length = None
    assert world.line((request, ctx))["bytes_in"] is None


@pytest.mark.parametrize(("level", "logged"), [("all", [200, 404, 500, 503]), ("errors", [500, 503]), ("off", [])])
async def test_levels(level: Level, logged: list[int]) -> None:
    world = World(level)
    for status in (200, 404, 500, 503):
        world.add(page(), status)
    assert [line["status"] for line in world.lines] == logged


async def test_lines_are_written_together_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH", 0.0)
    world = World()
    for _ in range(3):
        world.add(page())
    assert world.written == []
    await asyncio.sleep(0.01)
    assert len(world.written) == 1
    assert len(world.lines) == 3
    world.add(page())
    await asyncio.sleep(0.01)
    assert len(world.written) == 2


async def test_many_lines_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 1000)
    world = World()
    for _ in range(100):
        world.add(page())
    assert 10 < len(world.written) <= 100
    assert max(map(len, world.written)) < 2000
    assert len(world.lines) == 100


async def test_flush_without_lines_writes_nothing() -> None:
    world = World()
    world.log.flush()
    assert world.written == []


async def test_a_new_millisecond_is_a_new_stamp() -> None:
    world = World()
    stamps = []
    for _ in range(3):
        stamps.append(world.line(page())["ts"])
        world.clock.advance(0.0625)
    assert stamps == [1790000000.125, 1790000000.187, 1790000000.25]


@pytest.mark.parametrize(
    "text",
    [f"key {PLANTED} refused", f"Authorization: Bearer {JWT}", f"token={JWT}&x=1", "bearer abc", "wws_live_4fXk2p9QmZa_secret"],
)
@pytest.mark.parametrize("args", [False, True])
def test_the_program_s_own_log_masks_what_looks_like_a_credential(text: str, args: bool) -> None:
    message, parts = ("said: %s", (text,)) if args else (f"said: {text}", ())
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, message, parts, None)
    assert Redacting().filter(record)
    shown = record.getMessage()
    assert shown.startswith("said: ")
    assert "***" in shown
    for planted in (PLANTED, JWT, "abc", "4fXk2p9QmZa"):
        assert planted not in shown


def test_the_program_s_own_log_leaves_the_rest_alone() -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%d requests of %s", (3, "task-force"), None)
    assert Redacting().filter(record)
    assert record.getMessage() == "3 requests of task-force"


async def test_another_configuration_has_another_level_and_version() -> None:
    world = World()
    world.add(page())
    world.tally.drain()
    world.log.use("errors", "v-2")
    world.add(page())
    world.add(page(), status=502)
    assert [(line["status"], line["config_version"]) for line in world.lines] == [(200, "v-1"), (502, "v-2")]


def test_lines_of_several_processes_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[bytes] = []
    monkeypatch.setattr(module, "_to_stderr", pieces.append)
    lines = [b"%d %s\n" % (number, b"x" * (number % 900)) for number in range(200)] + [b"y" * 9000 + b"\n", b"z\n"]
    module.in_pieces(b"".join(lines))
    assert b"".join(pieces) == b"".join(lines)
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert [len(piece) for piece in pieces if len(piece) > 4096] == [9001]  # a line that is longer than that
    assert len(pieces) < 40  # many lines in each
