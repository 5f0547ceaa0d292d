from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cli.run import process, wws
from wws.bindings import Env
from wws.cli.store import opened
from wws.core.auth import session
from wws.core.auth.digest import Pepper


@pytest.fixture
def project(folder: Path) -> Path:
    wws("init")
    return folder


def remembered(subject: str, session_id: str) -> session.Session:
    return session.Session(
        sub=subject,
        role="authenticated",
        aal="aal1",
        session_id=session_id,
        is_anonymous=False,
        exp=9_000_000_000.0,
        checked_at=0.0,
        online_at=0.0,
        until=9_000_000_000.0,
    )


async def remember(env: Env) -> None:
    for token, subject, session_id in (("a", "u1", "s1"), ("b", "u1", "s2"), ("c", "u2", "s3")):
        key = session.session_key(Pepper(env.wws.secrets.pepper).hex(token.encode()))
        await env.wws.kv.put(key, session.encode(remembered(subject, session_id)), 3600)


@pytest.fixture
def sessions(project: Path) -> Path:
    with opened(None) as env:
        asyncio.run(remember(env))
    return project


@pytest.mark.parametrize(
    ("arguments", "stdin", "count"),
    [
        (("--user", "u1"), "", 2),
        (("--user", "nobody"), "", 0),
        (("--session", "s3"), "", 1),
        (("--token",), "b\n", 1),
        (("--all",), "", 3),
    ],
)
def test_what_is_purged(sessions: Path, arguments: tuple[str, ...], stdin: str, count: int) -> None:
    assert wws("sessions", "purge", *arguments, "--json", stdin=stdin).json == {"purged": count}


def test_for_people(sessions: Path) -> None:
    assert process("sessions", "purge", "--session", "s1", cwd=sessions).out == "purged 1 remembered session\n"
    assert process("sessions", "purge", "--all", cwd=sessions).out == "purged 2 remembered sessions\n"


@pytest.mark.parametrize("arguments", [(), ("--all", "--user", "u1"), ("--token", "--session", "s1")])
def test_exactly_one_thing_is_named(sessions: Path, arguments: tuple[str, ...]) -> None:
    done = wws("sessions", "purge", *arguments, stdin="b\n")
    assert (done.status, done.out) == (2, "")
    assert "exactly one of --user, --session, --token and --all" in done.err


def test_a_token_is_not_taken_from_the_arguments(sessions: Path) -> None:
    assert wws("sessions", "purge", "--token", "b").status == 2
    done = wws("sessions", "purge", "--token", stdin="\n")
    assert done.status == 2
    assert "holds no token" in done.err
