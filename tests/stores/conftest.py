from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.redis import RedisServer, make_cluster, require_redis


@pytest.fixture(scope="session")
def _redis() -> Iterator[list[RedisServer]]:
    require_redis()
    with RedisServer() as server:
        yield [server]


@pytest.fixture(scope="session")
def _cluster() -> Iterator[list[RedisServer]]:
    require_redis()
    with make_cluster() as servers:
        yield servers


def _emptied(servers: list[RedisServer]) -> list[RedisServer]:
    for server in servers:
        server.call("FLUSHALL")
    return servers


@pytest.fixture
def redis(_redis: list[RedisServer]) -> RedisServer:
    """A server of its own, empty."""
    return _emptied(_redis)[0]


@pytest.fixture
def cluster(_cluster: list[RedisServer]) -> list[RedisServer]:
    """The three masters of a cluster, empty."""
    return _emptied(_cluster)
