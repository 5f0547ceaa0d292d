"""`python -m bench.decision`: CPU of this process for one decision of the limiter in Redis, by how many ask at a time."""

from __future__ import annotations

import asyncio
import sys
import time

from bench.errors import BenchError, Missing
from bench.machine import SERVER_CORE, WORK, free_port, pin_self, require
from bench.process import Program, wait_listening
from wws.stores.redis import RedisStore
from wws.stores.redis_address import parse_redis

__all__ = ["main"]

_DECISIONS = 60_000
_AT_A_TIME = (1, 8, 32, 100)


async def _cost(store: RedisStore, at_a_time: int, decisions: int) -> float:
    """CPU microseconds for one decision."""

    async def asker(name: str) -> None:
        for _ in range(decisions // at_a_time):
            await store.take(name, 100_000_000, 60.0)

    before = time.process_time()
    await asyncio.gather(*(asker(f"user-{n}") for n in range(at_a_time)))
    return (time.process_time() - before) / (decisions // at_a_time * at_a_time) * 1e6


async def _measure(address: str) -> dict[int, float]:
    store = RedisStore(parse_redis(address), budget=5.0)
    await _cost(store, 32, 2_000)  # warm
    figures = {at_a_time: await _cost(store, at_a_time, _DECISIONS) for at_a_time in _AT_A_TIME}
    store.close()
    return figures


def main() -> int:
    """0 measured, 1 redis-server is missing."""
    import uvloop

    try:
        require("redis-server", "taskset")
        WORK.mkdir(parents=True, exist_ok=True)
        port = free_port()
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(WORK)]
        with Program("redis-server", SERVER_CORE, command, WORK / "redis.log") as server:
            wait_listening(server, port)
            pin_self()
            figures = uvloop.run(_measure(f"redis://127.0.0.1:{port}"))
    except (Missing, BenchError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    for at_a_time, microseconds in figures.items():
        print(f"{at_a_time:>4} at a time: {microseconds:5.1f} us of CPU per decision")
    return 0


if __name__ == "__main__":
    sys.exit(main())
