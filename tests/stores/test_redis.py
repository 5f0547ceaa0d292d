"""What only the store on a server promises: the server's clock, shared writes, and what it does when the server is not well."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.hosts.server.certificates import Certificates
from tests.support.redis import RedisServer, Sentinel
from tests.support.slow import SlowProxy
from wws.errors import StoreError
from wws.stores import redis_wire
from wws.stores.redis import RedisStore
from wws.stores.redis_address import parse_redis

SOON = 10.0
"""Seconds after which something that takes one or two is said never to come."""


@asynccontextmanager
async def opened(url: str, budget: float = 2.0) -> AsyncIterator[RedisStore]:
    store = RedisStore(parse_redis(url), budget=budget)
    try:
        yield store
    finally:
        store.close()
        await asyncio.sleep(0)


async def until(ask: Callable[[], Awaitable[object]]) -> float:
    """Asks until it is answered: the seconds that took."""
    began = time.monotonic()
    while True:
        try:
            await ask()
        except StoreError:
            assert time.monotonic() - began < SOON, "it never came back"
            await asyncio.sleep(0.02)
        else:
            return time.monotonic() - began


async def fails(ask: Awaitable[object], within: float) -> str:
    """The message of the `StoreError`, which must come in time."""
    began = time.monotonic()
    with pytest.raises(StoreError) as error:
        await ask
    assert time.monotonic() - began < within
    return str(error.value)


class TestCounting:
    @pytest.mark.parametrize("burst", [None, 3])
    async def test_time_is_the_servers(self, redis: RedisServer, burst: int | None) -> None:
        async with opened(redis.address) as store:
            for _ in range(2):
                while (decision := await store.take("k", 3, 1.0, burst=burst)).allowed:
                    pass
                assert 0.0 < decision.retry_after <= 1.02
                await asyncio.sleep(decision.retry_after)
                assert (await store.take("k", 3, 1.0, burst=burst)).allowed

    async def test_a_script_that_the_server_forgot_is_sent_again(self, redis: RedisServer) -> None:
        async with opened(redis.address) as store:
            for taken in range(1, 4):
                redis.call("SCRIPT", "FLUSH")
                decisions = await asyncio.gather(*(store.take(f"k{taken}", 5, 60.0) for _ in range(20)))
                assert sum(decision.allowed for decision in decisions) == 5
                redis.call("SCRIPT", "FLUSH")
                await store.give(f"k{taken}", 5, 60.0, 2)
                assert (await store.take(f"k{taken}", 5, 60.0)).remaining == 1

    def test_four_processes_admit_exactly_the_limit(self, redis: RedisServer) -> None:
        code = """
import asyncio, sys
from wws.stores.redis import RedisStore
from wws.stores.redis_address import parse_redis

async def main():
    store = RedisStore(parse_redis(sys.argv[1]), budget=20.0)
    await store.ping()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for burst in (None, 5):
        decisions = await asyncio.gather(*[store.take(f"k{burst}", 5, 3600.0, burst=burst) for _ in range(100)])
        print(sum(decision.allowed for decision in decisions), flush=True)
    store.close()

asyncio.run(main())
"""
        argv = [sys.executable, "-c", code, redis.address]
        racers = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        for racer in racers:
            assert racer.stdout is not None and racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        admitted = [racer.communicate(timeout=30)[0].split() for racer in racers]
        assert [sum(int(counts[way]) for counts in admitted) for way in (0, 1)] == [5, 5]

    async def test_commands_of_one_turn_share_a_write(self, redis: RedisServer) -> None:
        async with opened(redis.address) as store:
            await store.ping()
            before = redis.call("INFO", "stats")["total_reads_processed"]
            await asyncio.gather(*(store.take(f"k{n}", 5, 60.0) for n in range(100)))
            assert redis.call("INFO", "stats")["total_reads_processed"] - before <= 5


class TestReplies:
    async def test_any_command(self, redis: RedisServer) -> None:
        async with opened(redis.address) as store:
            assert await store.command("SET", "wws:lock", "me", "NX", "PX", 1000) == b"OK"
            assert await store.command("SET", "wws:lock", "you", "NX", "PX", 1000) is None
            assert await store.command("XADD", "wws:s", "1-1", "f", b"\x00") == b"1-1"
            assert await store.command("XRANGE", "wws:s", "-", "+") == [[b"1-1", [b"f", b"\x00"]]]
            assert await store.command("PING") == b"PONG"
            assert "ERR unknown command" in await fails(store.command("NOSUCH", "planted"), SOON)

    async def test_what_is_not_ours_is_an_error(self, redis: RedisServer) -> None:
        redis.call("LPUSH", "wws:v:k", "x")
        redis.call("LPUSH", "wws:c:k", "x")
        async with opened(redis.address) as store:
            assert "WRONGTYPE" in await fails(store.get("k"), SOON)
            assert "refused" in await fails(store.take("k", 5, 60.0), SOON)
            await store.put("k", "v")
            assert await store.get("k") == b"v"

    async def test_a_full_server_is_an_error_and_the_probe_notices(self, redis: RedisServer) -> None:
        async with opened(redis.address) as store:
            await store.ping()
            try:
                redis.call("CONFIG", "SET", "maxmemory", "1")
                assert "OOM" in await fails(store.put("k", "v"), SOON)
                assert "OOM" in await fails(store.ping(), SOON)
                assert await store.get("k") is None
            finally:
                redis.call("CONFIG", "SET", "maxmemory", "0")

    async def test_the_line_is_bounded(self, redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(redis_wire, "MAX_WAITING", 10)
        async with opened(redis.address) as store:
            results = await asyncio.gather(*(store.get("k") for _ in range(30)), return_exceptions=True)
            assert [result is None for result in results] == [True] * 10 + [False] * 20
            assert "are waiting already" in str(results[-1])

    def test_a_store_can_be_used_by_one_loop_after_the_other(self, redis: RedisServer) -> None:
        """As a command does that asks twice."""
        store = RedisStore(parse_redis(redis.address))
        asyncio.run(store.put("k", "v"))
        assert asyncio.run(store.get("k")) == b"v"
        store.close()


class TestConnecting:
    async def test_nobody_there(self) -> None:
        async with opened("redis://127.0.0.1:1") as store:
            assert "cannot connect" in await fails(store.get("k"), SOON)
            assert "cannot connect" in await fails(store.take("k", 5, 60.0), 0.5)

    @pytest.mark.parametrize(
        ("login", "good"),
        [
            (":planted-word", True),
            ("shop:planted-%40", True),
            (":wrong-planted", False),
            ("nobody:planted", False),
            ("", False),
        ],
    )
    async def test_passwords(self, login: str, good: bool) -> None:
        with RedisServer() as server:
            server.call("ACL", "SETUSER", "shop", "on", ">planted-@", "~*", "&*", "+@all")
            server.call("CONFIG", "SET", "requirepass", "planted-word")
            async with opened(f"redis://{login + '@' if login else ''}127.0.0.1:{server.port}/3") as store:
                if good:
                    await store.put("k", "v")
                    assert await store.get("k") == b"v"
                    return
                message = await fails(store.get("k"), SOON)
                assert "the greeting was refused" in message and "planted" not in message

    async def test_what_is_no_redis(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server, opened(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}") as store:
            assert "does not speak Redis' protocol" in await fails(store.get("k"), SOON)

    async def test_tls(self, tmp_path: Path) -> None:
        made = Certificates(tmp_path)
        files = ("--tls-cert-file", str(made.cert), "--tls-key-file", str(made.key), "--tls-ca-cert-file", str(made.authority))
        with RedisServer("--tls-port", "0", *files) as plain:
            port = plain.port
        with RedisServer("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "optional", *files, port=port):
            async with opened(f"rediss://localhost:{port}?ca={made.authority}") as store:
                await store.put("k", "v")
                assert await store.get("k") == b"v"
            async with opened(f"rediss://localhost:{port}?ca={made.authority}&cert={made.cert}&key={made.key}") as store:
                assert await store.get("k") == b"v"
            async with opened(f"rediss://localhost:{port}") as store:
                assert "cannot connect" in await fails(store.get("k"), SOON)
        with pytest.raises(StoreError, match="files for TLS cannot be used"):
            RedisStore(parse_redis(f"rediss://localhost?ca={tmp_path / 'none.pem'}"))


class TestTroubles:
    async def test_a_server_that_ends_and_comes_back(self) -> None:
        with RedisServer() as server:
            async with opened(server.address, budget=0.5) as store:
                await store.put("k", "v")
                server.stop()
                assert await fails(store.get("k"), 1.0)
                assert await fails(store.take("k", 5, 60.0), 0.3)
                server.start()
                assert await until(lambda: store.get("k")) < SOON
                assert await store.get("k") is None

    async def test_a_frozen_server(self, redis: RedisServer) -> None:
        async with opened(redis.address, budget=0.05) as store:
            await until(lambda: store.put("k", "v"))
            redis.signal(signal.SIGSTOP)
            try:
                for _ in range(5):
                    assert "did not answer within 50 ms" in await fails(store.get("k"), 0.5)
                deadline = time.monotonic() + SOON
                while "it does not answer" not in (message := await fails(store.get("k"), 0.5)):  # given up: no waiting at all
                    assert time.monotonic() < deadline, message
            finally:
                redis.signal(signal.SIGCONT)
            assert await until(lambda: store.put("k", "w")) < SOON
            assert await store.get("k") == b"w"

    async def test_late_replies_belong_to_nobody_else(self, redis: RedisServer) -> None:
        async with opened(redis.address, budget=0.2) as store:
            for n in range(20):
                await store.put(f"k{n}", str(n))
            redis.signal(signal.SIGSTOP)
            try:
                late = await asyncio.gather(*(store.get(f"k{n}") for n in range(10)), return_exceptions=True)
            finally:
                redis.signal(signal.SIGCONT)
            assert all(isinstance(error, StoreError) for error in late)
            await until(store.ping)
            assert [await store.get(f"k{n}") for n in range(20)] == [str(n).encode() for n in range(20)]

    async def test_a_slow_way(self, redis: RedisServer) -> None:
        with SlowProxy(redis.port) as proxy:
            async with opened(f"redis://127.0.0.1:{proxy.port}", budget=0.05) as store:
                await until(lambda: store.put("k", "v"))
                proxy.delay = 0.2
                results = await asyncio.gather(*(store.get("k") for _ in range(50)), return_exceptions=True)
                assert all("did not answer within 50 ms" in str(error) for error in results)
                proxy.delay = 0.0
                assert await until(lambda: store.get("k")) < SOON
                assert await store.get("k") == b"v"

    async def test_a_caller_who_leaves_does_not_disturb_the_others(self, redis: RedisServer) -> None:
        async with opened(redis.address) as store:
            await store.put("k", "v")
            leaving = [asyncio.ensure_future(store.get("nobody")) for _ in range(5)]
            staying = [asyncio.ensure_future(store.get("k")) for _ in range(5)]
            await asyncio.sleep(0)
            for task in leaving:
                task.cancel()
            assert await asyncio.gather(*staying) == [b"v"] * 5


class TestSentinels:
    async def test_the_master_is_found_and_followed(self) -> None:
        with (
            RedisServer() as master,
            RedisServer("--replicaof", "127.0.0.1", str(master.port)) as replica,
            Sentinel(master) as sentinel,
        ):
            deadline = time.monotonic() + SOON
            while not sentinel.call("SENTINEL", "REPLICAS", "main"):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/main"
            async with opened(url) as store:
                await until(lambda: store.put("k", "v"))
                assert master.client.get("wws:v:k") == b"v"
                while master.call("WAIT", 1, 1000) < 1:
                    assert time.monotonic() < deadline + SOON
                master.stop()
                took = time.monotonic()
                while True:  # until the replica has been made the master
                    try:
                        await store.put("k", "w")
                        break
                    except StoreError:
                        assert time.monotonic() - took < 30.0
                        await asyncio.sleep(0.1)
                assert replica.client.get("wws:v:k") == b"w"

    async def test_a_name_that_no_sentinel_knows(self) -> None:
        with RedisServer() as master, Sentinel(master) as sentinel:
            async with opened(f"redis+sentinel://127.0.0.1:{sentinel.port}/other") as store:
                assert "no sentinel knows a master 'other'" in await fails(store.get("k"), SOON)
