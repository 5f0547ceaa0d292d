"""Limits that the platform's own limiter counts, in a real Python Worker."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.ask import ask
from tests.e2e.neighbours import Neighbours
from tests.scenarios.hosts.workerd import WorkerdHost
from tests.scenarios.project import ENVIRONMENT, project


def test_an_approximate_limit(tmp_path: Path) -> None:
    with Neighbours() as around:
        toml = project(around, WorkerdHost.own)
        exact, rough = '"/five/*" = "5/min"', '"/five/*" = "5/min approximate"'
        assert exact in toml
        with WorkerdHost(tmp_path, toml.replace(exact, rough), ENVIRONMENT) as host:
            token, other = around.supabase.mint(), around.supabase.mint(sub="another")
            answers = [ask(host.url, "/five/things", token=token) for _ in range(6)]
            assert [answer.status for answer in answers] == [200] * 5 + [429]
            assert answers[-1].headers["retry-after"] == "60"
            assert not any("ratelimit" in name.lower() for answer in answers for name in answer.headers)
            assert ask(host.url, "/five/things", token=other).status == 200
            exactly = ask(host.url, "/private/page", token=token)
            assert exactly.headers["x-ratelimit-remaining-requests"] == "999"
