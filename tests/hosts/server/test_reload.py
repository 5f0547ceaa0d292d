"""What a reload comes to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wws.core.policy import Policy
from wws.errors import ConfigError, Problem, StoreError
from wws.hosts.server.reload import History, Reloaded, failed, identity, unchangeable
from wws.project.address import Address
from wws.project.settings import Project, Rollout, ServerSettings

PROJECT = Project(Path("/srv/shop/wws.toml"), Policy(version="v1"))


def test_what_only_a_restart_changes() -> None:
    assert unchangeable(PROJECT, replace(PROJECT, policy=Policy(version="v2"))) == []
    server = ServerSettings(
        listen=Address("0.0.0.0", 80), admin=None, workers="auto", cert=Path("c"), key=Path("k"), grace=1.0, keep_alive=3.0
    )
    found = unchangeable(PROJECT, replace(PROJECT, server=server, store_url="redis://:planted@host"))
    assert found == [
        "/srv/shop/wws.toml: server.listen: 0.0.0.0:80 needs a restart; 127.0.0.1:8787 stays in force",
        "/srv/shop/wws.toml: server.admin: off needs a restart; 127.0.0.1:8788 stays in force",
        "/srv/shop/wws.toml: server.workers: auto needs a restart; 1 stays in force",
        "/srv/shop/wws.toml: server.cert: TLS is switched on or off by a restart only",
        "/srv/shop/wws.toml: kv.store: another store needs a restart; the old one stays in use",
    ]


def test_who_serves_the_same() -> None:
    other = replace(PROJECT, policy=Policy(version="v2"), release="2026-11-22")
    seen = {
        identity(PROJECT), identity(other), identity(replace(PROJECT, rollout=Rollout(other, 10.0))),
        identity(replace(PROJECT, rollout=Rollout(other, 20.0))),
    }  # fmt: skip
    assert len(seen) == 4
    assert identity(PROJECT) == identity(replace(PROJECT, warnings=[Problem("f", None, "", "m")]))


def test_every_problem_of_a_failure_is_a_line() -> None:
    problems = [Problem("wws.toml", 3, "a.b", "is wrong"), Problem("wws.toml", None, "", "cannot be read")]
    assert failed(ConfigError(problems), "v1").problems == ["wws.toml:3: a.b: is wrong", "wws.toml: cannot be read"]
    assert failed(StoreError("the disk is full"), "v1") == Reloaded(False, "v1", ["the disk is full"], [])


def test_the_history_counts_and_keeps_the_last() -> None:
    history = History()
    assert history.fields() == {"ok": 0, "error": 0, "last": None}
    history.note(Reloaded(True, "v2", [], ["w"]), 10.0)
    history.note(Reloaded(False, "v2", ["p"], []), 20.0)
    fields = history.fields()
    assert (fields["ok"], fields["error"]) == (1, 1)
    assert fields["last"] == {"at": 20.0, "result": "error", "version": "v2", "problems": ["p"], "warnings": []}
