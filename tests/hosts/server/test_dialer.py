"""Exchanges through a dialer: stale connections, TLS, unix sockets, IPv6."""

from __future__ import annotations

import asyncio
import random
import ssl
from pathlib import Path

import pytest

from tests.hosts.server.certificates import Certificates
from tests.hosts.server.test_server import has_ipv6
from tests.hosts.server.wire import Handler, answering, echo, serving, settle, until, upstream
from wws.bindings import Endpoint
from wws.core.policy import Timeouts
from wws.errors import ConnectFailed, UpstreamCut, UpstreamError
from wws.hosts.server.dialer import Dialer
from wws.hosts.server.tasks import Answer, Run
from wws.http import Body, Parts, Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def dialer(context: ssl.SSLContext | None = None) -> Dialer:
    return Dialer(asyncio.get_running_loop(), context=context)


async def get(through: Dialer, url: str, method: str = "GET", body: bytes | Body = b"") -> Response:
    endpoint = Endpoint(url)
    return await through.send(endpoint, method, f"{endpoint.base}/p", [], body, Timeouts())


# a kept connection that the other side has closed meanwhile


def once_each(*, late: bool = False) -> Handler:
    """Serves one request a connection, then closes when the next one is on its way (`late`), or at once."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        if late:
            await reader.readuntil(b"\r\n\r\n")

    return handler


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
async def test_a_stale_connection_is_replaced_for_what_may_be_sent_again(method: str) -> None:
    async with upstream(once_each(late=True)) as to:
        through = dialer()
        assert (await get(through, to.url, "GET")).status == 200
        assert (await get(through, to.url, method)).status == 200
        assert to.accepted == 2
        through.close()


async def test_a_stale_connection_is_an_error_for_what_may_not() -> None:
    async with upstream(once_each(late=True)) as to:
        through = dialer()
        assert (await get(through, to.url)).status == 200
        with pytest.raises(UpstreamCut) as caught:
            await get(through, to.url, "POST", b"pay")
        assert not caught.value.answered and to.accepted == 1


async def test_a_body_that_is_read_once_cannot_be_sent_again() -> None:
    class Once(Body):
        def ready(self) -> bytes | None:
            return None

    async with upstream(once_each(late=True)) as to:
        through = dialer()
        assert (await get(through, to.url)).status == 200
        with pytest.raises(UpstreamCut):
            await get(through, to.url, "PUT", Once(b"data"))
        assert to.accepted == 1


@pytest.mark.parametrize("tls", [False, True])
async def test_a_body_in_parts_arrives_whole(certificates: Certificates, tls: bool) -> None:
    """The other side reads it late, so that it is sent in many pieces."""
    text = random.Random(1).randbytes(5_000_000)
    parts = Parts([b"begin", memoryview(text)[1000:-1000], b"end"])
    bodies: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(0.02)
            (length,) = [int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: ")]
            bodies.append(await reader.readexactly(length))
            writer.write(OK)

    async with upstream(handler, ssl=certificates.server() if tls else None) as to:
        through = dialer(certificates.client())
        url = f"https://127.0.0.1:{to.port}" if tls else to.url
        for method in ("POST", "POST", "PUT"):
            assert (await get(through, url, method, parts)).body == b"hello"
        assert bodies == [b"begin" + text[1000:-1000] + b"end"] * 3
        assert to.accepted == 1
        through.close()


async def test_a_connection_that_was_closed_in_time_is_simply_not_used() -> None:
    async with upstream(once_each()) as to:
        through = dialer()
        assert (await get(through, to.url)).status == 200
        await until(lambda: not through.open_connections)
        assert (await get(through, to.url, "POST", b"pay")).status == 200
        assert to.accepted == 2


async def test_a_new_connection_that_ends_is_not_tried_again() -> None:
    async def slams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with upstream(slams) as to:
        with pytest.raises(UpstreamCut):
            await get(dialer(), to.url)
        assert to.accepted == 1


async def test_the_second_try_is_the_last() -> None:
    async def first_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if to.accepted == 1:
            writer.write(OK)
            await reader.readuntil(b"\r\n\r\n")

    async with upstream(first_only) as to:
        through = dialer()
        assert (await get(through, to.url)).status == 200
        with pytest.raises(UpstreamCut):
            await get(through, to.url)
        assert to.accepted == 2


async def test_what_began_to_be_answered_is_not_sent_again() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 2")

    async with upstream(half) as to:
        through = dialer()
        assert (await get(through, to.url)).status == 200
        with pytest.raises(UpstreamCut) as caught:
            await get(through, to.url)
        assert caught.value.answered and to.accepted == 1


# other ways to an upstream


async def test_each_upstream_has_connections_of_its_own() -> None:
    async with upstream(answering(OK)) as one, upstream(answering(OK)) as other:
        through = dialer()
        for _ in range(3):
            await get(through, one.url)
            await get(through, other.url + "/base")
        assert one.accepted == other.accepted == 1 and through.open_connections == 2
        through.close()
        await until(lambda: not through.open_connections)


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "origin.sock"
    async with serving(echo, f"unix:{path}"):
        through = dialer()
        response = await get(through, f"http+unix://{path}:/base", "POST", b"hello")
        assert response.body == b"POST /base/p localhost 5 hello"
        through.close()
        await settle()
    with pytest.raises(ConnectFailed):
        await get(dialer(), f"http+unix://{path}")


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")
async def test_ipv6() -> None:
    async with serving(echo, "[::1]:0") as (_, port):
        through = dialer()
        assert (await get(through, f"http://[::1]:{port}")).body == f"GET /p [::1]:{port} 0 ".encode()
        through.close()
        await settle()


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


async def test_tls_with_a_context_that_trusts(certificates: Certificates) -> None:
    async with upstream(answering(OK), ssl=certificates.server()) as to:
        through = dialer(certificates.client())
        for _ in range(2):
            assert (await get(through, f"https://localhost:{to.port}")).body == b"hello"
            assert (await get(through, f"https://127.0.0.1:{to.port}")).body == b"hello"
        assert to.accepted == 2
        through.close()
        await until(lambda: not to.open)


async def test_tls_with_the_trust_of_the_environment(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    async with upstream(answering(OK), ssl=certificates.server()) as to:
        through = dialer()
        assert (await get(through, f"https://localhost:{to.port}")).body == b"hello"
        through.close()
        await until(lambda: not to.open)


async def test_tls_that_is_not_trusted_fails_before_anything_is_sent(certificates: Certificates) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # the upstream's side of the failure
    async with upstream(answering(OK), ssl=certificates.server()) as to:
        through = dialer()
        with pytest.raises(ConnectFailed) as caught:
            await get(through, f"https://localhost:{to.port}")
        assert not caught.value.sent and "CERTIFICATE_VERIFY_FAILED" in str(caught.value)
        assert not through.open_connections and to.accepted == 0


async def test_tls_for_another_name(certificates: Certificates, tmp_path: Path) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    context = certificates.client()
    async with upstream(answering(OK), ssl=certificates.server()) as to:
        with pytest.raises(ConnectFailed):
            await get(dialer(context), f"https://127.0.0.2:{to.port}")
        assert to.accepted == 0


async def test_tls_to_a_port_that_speaks_none() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with upstream(plain) as to:
        through = dialer()
        with pytest.raises(UpstreamError) as caught:
            await get(through, f"https://localhost:{to.port}")
        assert isinstance(caught.value, ConnectFailed) and not through.open_connections


async def test_tls_a_stream_that_is_left_closes_the_connection(certificates: Certificates) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + bytes(4096) + b"\r\n")
            await writer.drain()

    async with upstream(endless, ssl=certificates.server()) as to:
        through = dialer(certificates.client())
        response = await get(through, f"https://localhost:{to.port}")
        assert not isinstance(response.body, bytes)
        async for part in response.body:
            assert part.count(0) == len(part)
            break
        await response.body.aclose()
        await until(lambda: not to.open)
        assert not through.open_connections


# the head


async def test_the_head_of_headers_that_come_again() -> None:
    """A list that comes again is taken to be unchanged; another list, method or endpoint is another head."""
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            seen.append(b" ".join(line for line in head.split(b"\r\n") if not line.startswith((b"host", b"content-l"))).strip())
            writer.write(OK)

    async with upstream(handler) as to, upstream(handler) as other:
        through = dialer()
        one, two = Endpoint(to.url), Endpoint(other.url)
        a, b = [(b"x-a", b"1")], [(b"x-a", b"2")]
        for endpoint, method, target, headers in [
            (one, "POST", "/p", a),
            (one, "POST", "/p", a),
            (one, "POST", "/p", b),
            (one, "GET", "/p", b),
            (one, "POST", "/q", b),
            (two, "POST", "/q", b),
            *[(one, "POST", f"/{n}", a) for n in range(100)],
            (one, "POST", "/p", a),
        ]:
            assert (await through.send(endpoint, method, target, headers, b"", Timeouts())).status == 200
        through.close()
        await until(lambda: not to.open and not other.open)
    assert seen[:6] == [
        b"POST /p HTTP/1.1 x-a: 1",
        b"POST /p HTTP/1.1 x-a: 1",
        b"POST /p HTTP/1.1 x-a: 2",
        b"GET /p HTTP/1.1 x-a: 2",
        b"POST /q HTTP/1.1 x-a: 2",
        b"POST /q HTTP/1.1 x-a: 2",
    ]
    assert seen[6:106] == [b"POST /%d HTTP/1.1 x-a: 1" % n for n in range(100)]
    assert seen[106] == b"POST /p HTTP/1.1 x-a: 1"


# without a task


@pytest.mark.parametrize("end", ["answered", "cancelled"])
async def test_over_a_kept_connection_and_without_a_task_what_is_sent_once_is_on_its_way_at_once(end: str) -> None:
    asked: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            asked.append(head.split(b" ", 1)[0])
            if end == "answered" or len(asked) == 1:
                writer.write(OK)

    async with upstream(handler) as to:
        through = dialer()
        endpoint = Endpoint(to.url)
        assert (await get(through, to.url)).status == 200
        waited: list[object] = []
        ends: list[Response | BaseException | None] = []

        async def app() -> Response:
            sending = through.send(endpoint, "POST", "/p", [], b"", Timeouts())
            waited.append(sending)
            return await sending

        run = Run(app(), asyncio.get_running_loop(), lambda response, error: ends.append(response or error))
        run.resume(None)
        assert isinstance(waited[0], Answer)
        await until(lambda: len(asked) == 2)
        if end == "cancelled":
            run.cancel()
            assert isinstance(ends[0], asyncio.CancelledError)
            await until(lambda: not through.open_connections)  # nobody wants that answer: the upstream sees it closed
        else:
            await until(lambda: ends)
            assert isinstance(ends[0], Response)
            assert ends[0].body == b"hello"
            assert through.open_connections == 1
        through.close()
        await until(lambda: not to.open)


async def test_what_may_be_sent_again_takes_a_coroutine_that_looks_for_it() -> None:
    async with upstream(once_each(late=True)) as to:
        through = dialer()
        assert (await get(through, to.url)).status == 200
        ends: list[Response | BaseException | None] = []

        async def app() -> Response:
            return await get(through, to.url, "PUT")

        Run(app(), asyncio.get_running_loop(), lambda response, error: ends.append(response or error)).resume(None)
        await until(lambda: ends)
        assert isinstance(ends[0], Response)
        assert to.accepted == 2
        through.close()
