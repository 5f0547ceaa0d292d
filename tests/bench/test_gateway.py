"""The project that is measured: a valid wws.toml with everything on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bench.gateway import VARIANTS, Upstreams, config
from wws.core.policy import DEFAULT_RULES
from wws.project.load import loads

_UPSTREAMS = Upstreams("http://127.0.0.1:1111", "http://127.0.0.1:2222")


def _read(name: str) -> dict[str, dict[str, object]]:
    text = config(VARIANTS[name], Path("/tmp/bench"), 3333, 4444, _UPSTREAMS)
    read: dict[str, dict[str, object]] = tomllib.loads(text)
    return read


@pytest.mark.parametrize("name", VARIANTS)
def test_it_is_toml_and_listens_on_loopback(name: str) -> None:
    project = _read(name)
    assert project["server"] == {
        "listen": "127.0.0.1:3333",
        "admin": "127.0.0.1:4444",
        "workers": 2 if name == "workers" else 1,
        "log": "off" if name == "quiet" else "all",
    }
    assert project["kv"] == {"store": "redis://127.0.0.1:6379" if name == "redis" else "lmdb:/tmp/bench/state"}
    assert project["auth"]["supabase_url"] == "http://127.0.0.1:2222"


def test_the_pipeline_passes_plain_answers_and_counts_addresses() -> None:
    project = _read("pipeline")
    assert project["attempts"] == {"assemble": False}
    assert project["limits"]["address"] == project["limits"]["default"] == "100000000/min"
    assert project["models"]["reasoning"] == ["mock/bench", "mock/bench-fallback"]


def test_the_assembled_one_streams_upstream() -> None:
    project = _read("assembled")
    assert project["attempts"] == {"assemble": True}
    assert project["models"]["reasoning"] == ["streams/bench", "streams/bench-fallback"]


def test_refusals_are_not_refused_for_their_address() -> None:
    project = _read("refusals")
    assert project["limits"]["address"] == "off"
    assert project["limits"]["/api/ai/generate"] == "1/hour"


@pytest.mark.parametrize("name", VARIANTS)
def test_wws_itself_accepts_it(name: str) -> None:
    text = config(VARIANTS[name], Path("/tmp/bench"), 3333, 4444, _UPSTREAMS)
    project = loads(text, Path("/tmp/bench/wws.toml"), environ={})
    assert project.policy.attempts.assemble is (name == "assembled")
    assert (project.policy.address_limit is None) == (name == "refusals")
    assert project.policy.limits["default"].count == 100_000_000
    assert project.policy.rules == DEFAULT_RULES
    (cached,) = (route for route in project.policy.routes if route.path == "/cached/*")
    assert (cached.auth, cached.cache.mode, cached.cache.per) == ("required", "fixed", "user")
