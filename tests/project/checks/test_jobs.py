from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.files import READY, problems, project, warnings
from tests.project.functions.write import write
from wws.core.queue.delivery import Terms
from wws.project.crons import Cron
from wws.project.settings import FunctionLimits, QueueSettings

FILES = {
    "jobs/tidy.py": "async def scheduled(event, env, ctx): ...",
    "jobs/mail.py": "async def queue(batch, env, ctx): ...",
    "jobs/slow.py": 'config = {"timeout": "5m"}\nasync def queue(batch, env, ctx): ...',
    "page.py": "async def fetch(request, env, ctx): ...",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "functions", FILES)
    return tmp_path / "wws.toml"


def test_what_is_read(path: Path) -> None:
    text = """
[functions]
timeout = "10s"
isolates = 3
[triggers]
timezone = "Asia/Tokyo"
crons = ["*/5 * * * *", { cron = "0 3 * * *", function = "jobs/tidy", timezone = "UTC" }]
[[queues]]
binding = "MAIL"
function = "jobs/mail"
max_batch = 5
retry_delay = "30s"
dead_letter = "GRAVES"
[[queues]]
binding = "GRAVES"
"""
    found = project(READY + text, path=path)
    assert found.crons == (Cron("*/5 * * * *", None, "Asia/Tokyo"), Cron("0 3 * * *", "jobs/tidy", "UTC"))
    assert found.queues == (
        QueueSettings("MAIL", "jobs/mail", Terms(max_batch=5, retry_delay=30.0), "GRAVES"),
        QueueSettings("GRAVES"),
    )
    assert found.limits == FunctionLimits(timeout=10.0, isolates=3)
    assert found.limits.of({}) == 10.0 and found.limits.of({"timeout": 2.0}) == 2.0
    assert found.policy.version != project(READY, path=path).policy.version


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[triggers]\ncrons = [{ cron = "* * * * *", function = "jobs/tidi" }]', "there is no functions/jobs/tidi.py"),
        (
            '[triggers]\ncrons = [{ cron = "* * * * *", function = "page" }]',
            "functions/page.py has no `async def scheduled(...)`",
        ),
        ('[triggers]\ncrons = ["* * *"]', "has not five fields"),
        ('[triggers]\ntimezone = "Moon"', 'there is no time zone "Moon"'),
        ('[[queues]]\nbinding = "Q"\nfunction = "page"', "functions/page.py has no `async def queue(...)`"),
        ('[[queues]]\nbinding = "Q"\nfunction = "jobs/male"', 'did you mean "jobs/mail"?'),
        ('[[queues]]\nbinding = "Q"\ndead_letter = "Q"', "this is the queue itself"),
        ('[[queues]]\nbinding = "Q"\ndead_letter = "P"', "there is no such queue"),
        ('[[queues]]\nfunction = "jobs/mail"', "`binding` is missing"),
        ('[[queues]]\nbinding = "ai"', "is the gateway's own name in env"),
        ('[[queues]]\nbinding = "Q"\n[vars]\nQ = 1', "is a binding already"),
    ],
)
def test_what_is_not_allowed(path: Path, text: str, problem: str) -> None:
    [found] = problems(READY + text, path=path)
    assert problem in found


def test_crons_need_a_function(tmp_path: Path) -> None:
    [found] = problems(READY + '[triggers]\ncrons = ["* * * * *"]', path=tmp_path / "wws.toml")
    assert "no function has `async def scheduled(event, env, ctx)`" in found


def test_a_lease_that_is_too_short_is_told(path: Path) -> None:
    def told(text: str) -> list[str]:
        return [one for one in warnings(READY + text, path=path) if "queues" in one]

    [found] = told('[[queues]]\nbinding = "Q"\nfunction = "jobs/slow"\nvisibility = "2m"')
    assert "120 s are no longer than the 300 s that jobs/slow may take" in found
    assert told('[[queues]]\nbinding = "Q"\nfunction = "jobs/mail"') == []
