"""Listening, limits of connections, TLS, unix sockets, IPv6, ticking and the end."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hosts.server.certificates import Certificates
from tests.hosts.server.wire import Client, InMemory, echo, exchange, parse, serving, settle, until
from wws.core.wire.address import networks
from wws.hosts.server.connection import Connection
from wws.hosts.server.limits import TICK, ServerLimits
from wws.hosts.server.server import Server, tls_context
from wws.http import Request, Response

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def who(request: Request) -> Response:
    return Response.text(f"{request.client} {request.scheme}")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# addresses


async def test_the_address_that_was_bound_is_told() -> None:
    server = Server(echo, asyncio.get_running_loop())
    bound = await server.listen("127.0.0.1:0")
    host, _, port = bound.rpartition(":")
    assert host == "127.0.0.1" and int(port) > 0
    with pytest.raises(OSError):
        await Server(echo, asyncio.get_running_loop()).listen(bound)
    await server.stop(0.0)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")
async def test_ipv6() -> None:
    async with serving(who, "[::1]:0") as (_, port), await Client.open(port, "::1") as client:
        await client.send(GET)
        assert (await client.answer()).body == b"::1 http"


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "wws.sock"
    async with serving(who, f"unix:{path}"), await Client.open_unix(str(path)) as client:
        await client.send(GET)
        assert (await client.answer()).body == b" http"  # a unix peer has no address
    assert not path.exists()


async def test_a_socket_file_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "wws.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with serving(who, f"unix:{path}"), await Client.open_unix(str(path)) as client:
        await client.send(GET)
        assert (await client.answer()).status == 200


async def test_a_socket_that_somebody_serves_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "wws.sock"
    async with serving(who, f"unix:{path}"):
        with pytest.raises(OSError):
            await Server(echo, asyncio.get_running_loop()).listen(f"unix:{path}")
        async with await Client.open_unix(str(path)) as client:
            await client.send(GET)
            assert (await client.answer()).status == 200


async def test_a_file_in_the_place_of_the_socket_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(OSError):
        await Server(echo, asyncio.get_running_loop()).listen(f"unix:{path}")
    assert path.read_text() == "data"


async def test_several_addresses_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wws.sock"
    async with serving(who) as (server, port):
        await server.listen(f"unix:{path}")
        async with await Client.open_unix(str(path)) as by_path, await Client.open(port) as by_port:
            await by_path.send(GET)
            await by_port.send(GET)
            assert (await by_path.answer()).body == b" http" and (await by_port.answer()).body == b"127.0.0.1 http"


# whose request


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [((), b"127.0.0.1 http"), (("127.0.0.0/8",), b"203.0.113.9 http"), (("10.0.0.0/8",), b"127.0.0.1 http")],
)
async def test_the_client_behind_a_trusted_proxy(proxies: tuple[str, ...], seen: bytes) -> None:
    forwarded = b"X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9\r\n"
    async with serving(who, proxies=networks(proxies)) as (_, port), await Client.open(port) as client:
        await client.send(GET[:-2] + forwarded + b"\r\n")
        assert (await client.answer()).body == seen


# limits of connections


async def test_more_connections_than_there_are_places() -> None:
    async with serving(echo, limits=ServerLimits(connections=2)) as (server, port):
        first, second = await Client.open(port), await Client.open(port)
        await until(lambda: len(server.connections) == 2)
        (answer,) = parse(await exchange(port, GET))
        assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (503, "1", "close")
        await first.send(GET)
        assert (await first.answer()).status == 200
        await first.close()
        await until(lambda: len(server.connections) == 1)
        assert parse(await exchange(port, LAST))[0].status == 200
        await second.close()


async def test_more_connections_than_one_address_may_have() -> None:
    server = Server(echo, asyncio.get_running_loop(), limits=ServerLimits(per_address=2), proxies=networks(["10.0.0.0/8"]))

    def places(*peers: str) -> list[bool]:
        given = []
        for peer in peers:
            connection = Connection(server)
            connection.peer = peer
            given.append(server.opened(connection))
            if given[-1]:
                opened.append(connection)
        return given

    opened: list[Connection] = []
    assert places("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2") == [True, True, False, True]
    assert places("::ffff:192.0.2.1", "::ffff:192.0.2.2") == [False, True]  # the same clients by another name
    assert places("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1") == [True, True, False, True]  # one /64
    assert places(*["10.0.0.1"] * 5, *[""] * 5) == [True] * 10  # they stand for many
    for connection in opened:
        server.closed(connection)
    assert not server.connections and places("192.0.2.1") == [True]


async def test_a_connection_that_was_refused_takes_no_place() -> None:
    async with serving(echo, limits=ServerLimits(connections=1)) as (server, port), await Client.open(port):
        await until(lambda: len(server.connections) == 1)
        for _ in range(3):
            assert parse(await exchange(port, GET))[0].status == 503
        assert len(server.connections) == 1


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


async def test_tls(certificates: Certificates) -> None:
    tls = tls_context(str(certificates.cert), str(certificates.key))
    async with serving(who, tls=tls) as (server, port):
        async with await Client.open(port, ssl=certificates.client(), server_hostname="localhost") as client:
            for _ in range(2):
                await client.send(GET)
                assert (await client.answer()).body == b"127.0.0.1 https"
            chosen = client.writer.get_extra_info("ssl_object")
            assert chosen.version() == "TLSv1.3" and chosen.selected_alpn_protocol() == "http/1.1"
        await until(lambda: not server.connections)


async def test_tls_a_large_answer_and_a_large_body(certificates: Certificates) -> None:
    async def twice(request: Request) -> Response:
        body = await request.bytes()
        return Response(body + body)

    tls = tls_context(str(certificates.cert), str(certificates.key))
    async with (
        serving(twice, tls=tls) as (_, port),
        await Client.open(port, ssl=certificates.client(), server_hostname="localhost") as client,
    ):
        body = os.urandom(500_000)
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body), body, GET)
        assert (await client.answer()).body == body + body
        assert (await client.answer()).status == 200


async def test_tls_a_refusal_is_read_to_its_end(certificates: Certificates) -> None:
    tls = tls_context(str(certificates.cert), str(certificates.key))
    async with (
        serving(who, tls=tls) as (server, port),
        await Client.open(port, ssl=certificates.client(), server_hostname="localhost") as client,
    ):
        await client.send(b"nonsense\r\n\r\n" + GET)
        assert (await client.answer()).status == 400
        for connection in server.connections:
            connection.check(asyncio.get_running_loop().time() + ServerLimits().linger + 1)
        assert await client.rest() == b""


async def test_tls_is_not_older_than_1_2(certificates: Certificates) -> None:
    tls = tls_context(str(certificates.cert), str(certificates.key))
    assert tls.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_a_plain_request_to_a_tls_port_does_no_harm(certificates: Certificates) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)  # asyncio reports each failed handshake
    tls = tls_context(str(certificates.cert), str(certificates.key))
    async with serving(who, tls=tls) as (_, port):
        assert b"200" not in await exchange(port, GET)
        async with await Client.open(port, ssl=certificates.client(), server_hostname="localhost") as client:
            await client.send(GET)
            assert (await client.answer()).status == 200


def test_a_key_that_does_not_fit(certificates: Certificates, tmp_path: Path) -> None:
    other = Certificates(tmp_path)
    with pytest.raises(OSError):
        tls_context(str(certificates.cert), str(other.key))
    with pytest.raises(OSError):
        tls_context(str(tmp_path / "missing"), str(other.key))


# ticking


async def test_timers_tick_by_themselves() -> None:
    ticks: list[float] = []
    limits = ServerLimits(header_timeout=0.1)
    async with serving(echo, limits=limits, on_tick=ticks.append) as (_, port):
        assert parse(await exchange(port, b"GET / HT"))[0].status == 408
        await until(lambda: len(ticks) >= 2)
    assert ticks == sorted(ticks)


async def test_an_error_in_a_tick_does_not_end_the_ticking() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    ticks: list[float] = []

    def on_tick(now: float) -> None:
        ticks.append(now)
        raise ValueError("somebody's timer")

    async with serving(echo, on_tick=on_tick):
        await until(lambda: len(ticks) >= 2)
    await asyncio.sleep(2 * TICK)
    assert len(ticks) <= 3  # and the stop ends it


# the end


async def test_the_end_lets_answers_finish_and_closes_what_is_idle() -> None:
    event = asyncio.Event()

    async def app(request: Request) -> Response:
        await event.wait()
        return Response.text("finished")

    async with serving(app) as (server, port):
        idle, busy = await Client.open(port), await Client.open(port)
        await busy.send(GET)
        await until(lambda: len(server.connections) == 2)
        await settle()
        stopping = asyncio.create_task(server.stop(10.0))
        assert await idle.rest() == b""
        with pytest.raises(OSError):
            await Client.open(port)
        assert not stopping.done()
        event.set()
        answer = await busy.answer()
        assert (answer.body, answer.headers["connection"]) == (b"finished", "close")
        await stopping
        assert not server.connections
        await idle.close()
        await busy.close()


async def test_the_end_cuts_what_takes_longer_than_the_grace() -> None:
    cancelled: list[bool] = []

    async def app(request: Request) -> Response:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return Response.text("never")

    async with serving(app) as (server, port), await Client.open(port) as client:
        await client.send(GET)
        await until(lambda: server.connections)
        await settle()
        await server.stop(0.01)
        [answer] = parse(await client.rest())
        assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (503, "1", "close")
        assert b"The gateway is stopping" in answer.body
        await until(lambda: cancelled)


async def test_the_end_of_a_stream_within_the_grace() -> None:
    go = asyncio.Event()

    async def app(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun "
            await go.wait()
            yield b"ended"

        return Response.stream(parts())

    async with serving(app) as (server, port), await Client.open(port) as client:
        await client.send(GET)
        await client.reader.readuntil(b"begun ")
        stopping = asyncio.create_task(server.stop(10.0))
        await settle()
        go.set()
        assert b"ended" in await client.rest()
        await stopping


async def test_a_server_that_drains_closes_after_each_answer() -> None:
    wire = InMemory(echo)
    wire.server.draining = True
    answers = await wire.ask(GET + GET)
    assert [one.headers["connection"] for one in answers] == ["close"] and wire.over
