"""Connections to one upstream: how many, how long, and who gets the next."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from tests.hosts.server.wire import MemoryTransport, answering, settle, until, upstream
from wws.bindings import Endpoint
from wws.core.policy import Timeouts
from wws.errors import ConnectFailed, UpstreamError, UpstreamTimeout
from wws.hosts.server.dialer import Dialer
from wws.hosts.server.exchange import UpstreamConnection
from wws.hosts.server.limits import UpstreamLimits
from wws.hosts.server.pool import Pool
from wws.http import Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def pool_of(limits: UpstreamLimits | None = None, port: int = 9, context: ssl.SSLContext | None = None) -> Pool:
    scheme = "http" if context is None else "https"
    endpoint = Endpoint(f"{scheme}://127.0.0.1:{port}")
    return Pool(endpoint, asyncio.get_running_loop(), limits or UpstreamLimits(), context)


def kept(pool: Pool) -> UpstreamConnection:
    """A connection in memory that has served and waits."""
    connection = UpstreamConnection(pool, asyncio.get_running_loop())
    connection.connection_made(MemoryTransport(connection))
    pool.connections.add(connection)
    pool.open += 1
    pool.release(connection)
    return connection


async def test_the_connection_used_last_is_used_next() -> None:
    pool = pool_of()
    first, second = kept(pool), kept(pool)
    assert pool.take() is second and pool.take() is first and pool.take() is None
    assert first.reused and second.reused


async def test_a_connection_that_closed_is_not_given() -> None:
    pool = pool_of()
    first, second = kept(pool), kept(pool)
    second.connection_lost(None)
    assert pool.idle == pool.open == 1 and pool.take() is first
    third = kept(pool)
    third.broken = True  # it is closing, and has not told yet
    assert pool.take() is None


async def test_no_more_are_kept_than_may_be() -> None:
    pool = pool_of(UpstreamLimits(idle=2))
    connections = [kept(pool) for _ in range(4)]
    assert pool.idle == 2 and [one.broken for one in connections] == [False, False, True, True]


@pytest.mark.parametrize("tls", [False, True])
async def test_they_are_kept_for_a_time(tls: bool) -> None:
    limits = UpstreamLimits()
    most = limits.idle_tls if tls else limits.idle_plain
    pool = pool_of(limits, context=ssl.create_default_context() if tls else None)
    old = kept(pool)
    now = asyncio.get_running_loop().time()
    young = kept(pool)
    young.idle_since = now + 2.0
    pool.check(now + most - 0.1)
    assert not old.broken
    pool.check(now + most + 1.0)
    assert old.broken and not young.broken and pool.take() is young


async def test_who_waits_gets_the_next_place_in_order() -> None:
    hold = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await hold.wait()
            writer.write(OK)

    async with upstream(handler) as to:
        dialer = Dialer(asyncio.get_running_loop(), UpstreamLimits(connections=2))
        order: list[int] = []

        async def one(n: int) -> None:
            response = await dialer.send(Endpoint(to.url), "GET", f"/{n}", [], b"", Timeouts(connect=4.0))
            order.append(n)
            assert response.status == 200

        asking = [asyncio.create_task(one(n)) for n in range(6)]
        await until(lambda: to.accepted == 2)
        await settle(20)
        hold.set()
        await asyncio.gather(*asking)
        assert to.accepted == 2 and sorted(order) == list(range(6))
        dialer.close()


async def test_who_waits_too_long_for_a_place() -> None:
    async with upstream(answering(b"")) as to:
        dialer = Dialer(asyncio.get_running_loop(), UpstreamLimits(connections=1))
        endpoint = Endpoint(to.url)
        busy = asyncio.ensure_future(dialer.send(endpoint, "GET", "/", [], b"", Timeouts()))
        await until(lambda: dialer.open_connections)
        with pytest.raises(UpstreamTimeout) as caught:
            await dialer.send(endpoint, "GET", "/", [], b"", Timeouts(connect=0.02))
        assert caught.value.phase == "connect" and not caught.value.sent
        busy.cancel()
        await until(lambda: not dialer.open_connections)


async def test_a_place_that_is_given_up_goes_to_the_next() -> None:
    pool = pool_of(UpstreamLimits(connections=1))
    connection = kept(pool)
    assert pool.take() is connection
    waiting = [asyncio.create_task(pool.connect(4.0)) for _ in range(3)]
    await settle()
    waiting[0].cancel()  # while it waits
    await settle()
    pool.release(connection)
    waiting[1].cancel()  # just when the place is its own
    await settle()
    assert waiting[0].cancelled() and waiting[1].cancelled()
    assert await waiting[2] is connection


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pool = pool_of(port=port)
    with pytest.raises(ConnectFailed) as caught:
        await pool.connect(2.0)
    assert not caught.value.sent and str(port) in str(caught.value)
    assert pool.open == 0


@pytest.mark.parametrize("host", ["name.invalid", "a" * 64 + ".example", "\xe4\xf6.invalid"])
async def test_names_that_lead_nowhere(host: str) -> None:
    pool = Pool(Endpoint(f"http://{host}/"), asyncio.get_running_loop(), UpstreamLimits(), None)
    with pytest.raises((ConnectFailed, UpstreamTimeout)):
        await pool.connect(2.0)
    await until(lambda: pool.open == 0)


async def test_a_connection_that_is_not_taken_up_times_out() -> None:
    """A listener whose backlog is full answers no SYN."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        pool = pool_of(port=listener.getsockname()[1])
        with pytest.raises(UpstreamTimeout) as caught:
            await pool.connect(0.1)
        assert caught.value.phase == "connect"
        for filler in fillers:
            filler.close()
    await until(lambda: pool.open == 0)


async def test_a_connection_that_closes_at_once() -> None:
    async def slams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with upstream(slams) as to:
        dialer = Dialer(asyncio.get_running_loop())
        for _ in range(20):
            with pytest.raises(UpstreamError):
                await dialer.send(Endpoint(to.url), "POST", "/", [], b"x", Timeouts())
        (pool,) = dialer.pools.values()
        await until(lambda: pool.open == len(pool.connections) == 0)


async def test_a_connection_that_was_lost_before_it_was_handed_over() -> None:
    class Losing:
        """A loop whose connections are lost as soon as they are made: the very moment cannot be had over a socket."""

        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio.get_running_loop(), name)

        async def create_connection(self, make: Any, *args: object, **options: object) -> tuple[None, UpstreamConnection]:
            connection: UpstreamConnection = make()
            connection.connection_made(MemoryTransport(connection))
            connection.connection_lost(None)
            return None, connection

    loop: Any = Losing()
    pool = Pool(Endpoint("http://127.0.0.1:9"), loop, UpstreamLimits(), None)
    with pytest.raises(ConnectFailed):
        await pool.connect(2.0)
    assert pool.open == 0 and not pool.connections


async def test_a_dial_that_is_cancelled_leaves_nothing_behind() -> None:
    async with upstream(answering(OK)) as to:
        pool = pool_of(port=to.port)
        for turns in range(8):  # at whatever point it is
            dial = asyncio.create_task(pool.connect(2.0))
            await settle(turns)
            dial.cancel()
            await asyncio.wait({dial})
        await asyncio.sleep(0.01)
        await until(lambda: pool.open == len(pool.connections))
        assert all(not one.broken for one in pool.connections)
        assert pool.idle <= len(pool.connections)
        pool.close()
        await until(lambda: pool.open == 0)


async def test_many_at_once_stay_within_the_bound() -> None:
    most = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        most = max(most, to.open)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.001)
            writer.write(OK)

    async with upstream(handler) as to:
        dialer = Dialer(asyncio.get_running_loop(), UpstreamLimits(connections=5, idle=3))

        async def one() -> Response:
            return await dialer.send(Endpoint(to.url), "GET", "/", [], b"", Timeouts(connect=4.0))

        answers = await asyncio.gather(*[one() for _ in range(200)])
        assert {answer.status for answer in answers} == {200} and most <= 5
        (pool,) = dialer.pools.values()
        await until(lambda: pool.open == len(pool.connections) == pool.idle <= 3)
        dialer.close()
