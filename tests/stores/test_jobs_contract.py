"""The contract of claims and queues on every store: in memory, on disk, on one Redis server, on a cluster of three."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.stores.jobs_contract import JOBS, ClaimsContract, Jobs, QueuesContract
from tests.stores.test_contract import SERVERS
from tests.support.clock import FakeClock
from tests.support.redis import RedisClock, RedisServer
from wws.stores.redis import RedisStore
from wws.stores.redis_address import parse_redis
from wws.stores.redis_jobs import RedisJobs


@pytest.fixture(params=[*JOBS, *SERVERS])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def servers(request: pytest.FixtureRequest, kind: str) -> list[RedisServer]:
    """The servers behind the store, if any."""
    if kind not in SERVERS:
        return []
    found: list[RedisServer] | RedisServer = request.getfixturevalue(kind)
    return found if isinstance(found, list) else [found]


@pytest.fixture
def clock(servers: list[RedisServer]) -> FakeClock:
    """A clock that stands still, by which the store's servers go too."""
    return RedisClock(servers) if servers else FakeClock()


@pytest.fixture
def jobs(kind: str, servers: list[RedisServer], tmp_path: Path, clock: FakeClock) -> Iterator[Jobs]:
    """Each of the stores, empty."""
    if servers:
        places = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        yield RedisJobs(RedisStore(parse_redis(SERVERS[kind].format(places)), clock, budget=5.0), clock)
    else:
        opened = JOBS[kind](tmp_path, clock)
        yield opened
        opened.close()


@pytest.fixture(autouse=True)
async def _disconnected(jobs: Jobs) -> AsyncIterator[None]:
    """Connections end in the loop they were made in."""
    yield
    if isinstance(jobs, RedisJobs):
        jobs.close()


class TestClaims(ClaimsContract):
    """On every store."""


class TestQueues(QueuesContract):
    """On every store."""
