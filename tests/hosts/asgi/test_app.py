"""The gateway as an ASGI application, message by message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.asgi.driver import Exchange, scope
from wws.errors import ConfigError
from wws.hosts.asgi.app import Asgi

_PATIENCE = 10.0

Origin = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]

TOML = """\
name = "asgi"
[server]
trusted_proxies = ["192.0.2.0/24"]
[kv]
store = "memory:"
[origin]
url = "http://127.0.0.1:{port}"
[origin.timeouts]
idle = "5s"
[[routes]]
path = "/*"
to = "origin"
"""


class Sayings:
    """What an origin may answer, and what it saw."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.written = 0
        self.closed = asyncio.Event()

    async def echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers with the path that was asked for."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if b"transfer-encoding: chunked" in head:
            self.bodies.append(await reader.readuntil(b"0\r\n\r\n"))
        path = head.split(b" ")[1]
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ndate: x\r\ncontent-length: %d\r\n\r\n%b" % (len(path), path))
        writer.close()

    async def endless(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Writes as much as is taken, until the other side closes."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                self.written += 65536
        except ConnectionError:
            self.closed.set()
        finally:
            writer.close()

    async def short(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Announces more than it sends."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n1234567890")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()


@pytest.fixture
def origin() -> Sayings:
    return Sayings()


@pytest.fixture
async def app(tmp_path: Path, origin: Sayings, request: pytest.FixtureRequest) -> AsyncIterator[Asgi]:
    """The application, running, in front of an origin that answers as the parameter says."""
    answer: Origin = getattr(origin, getattr(request, "param", "echo"))
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    file = tmp_path / "wws.toml"
    file.write_text(TOML.format(port=port))
    gateway = Asgi(file)
    async with gateway.lifespan():
        yield gateway
    server.close()
    await asyncio.wait_for(server.wait_closed(), _PATIENCE)


async def ask(app: Asgi, made: dict[str, Any], *body: bytes) -> Exchange:
    async with asyncio.timeout(_PATIENCE):
        return await Exchange(app, made, *body).run()


async def test_an_answer(app: Asgi, origin: Sayings) -> None:
    done = await ask(app, scope("/a/b?q=%20"))
    assert (done.status, done.body, done.whole) == (200, b"/a/b?q=%20", True)
    assert done.headers["content-length"] == "10"
    assert done.headers["x-request-id"]
    assert "date" not in done.headers  # the server's own
    assert b"x-forwarded-for: 192.0.2.7\r\n" in origin.heads[0]


@pytest.mark.parametrize("root", ["/gateway", "/gateway/"])
async def test_mounted_below_a_path(app: Asgi, root: str) -> None:
    assert (await ask(app, scope("/gateway/page", root_path=root))).body == b"/page"
    assert (await ask(app, scope("/gateway", root_path=root))).body == b"/"
    assert (await ask(app, scope("/gateways/page", root_path="/gateway"))).body == b"/gateways/page"


async def test_a_server_without_raw_path(app: Asgi) -> None:
    made = scope("/caf\u00e9 au lait")
    del made["raw_path"]
    assert (await ask(app, made)).body == b"/caf%C3%A9%20au%20lait"


async def test_head(app: Asgi) -> None:
    done = await ask(app, scope("/healthz", "HEAD"))
    assert (done.status, done.body) == (200, b"")
    assert done.headers["content-length"] == "15"


async def test_a_trusted_proxy_says_who_asks(app: Asgi, origin: Sayings) -> None:
    await ask(app, scope("/x", headers=[(b"x-forwarded-for", b"198.51.100.1")]))
    assert b"x-forwarded-for: 198.51.100.1\r\n" in origin.heads[0]


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (scope("/", headers=[(b"host", b"other")]), 400),
        (scope("/", headers=[(b"x_user_id", b"1")]), 400),
        (scope("/" + "x" * 9000), 414),
        (scope("/", "CONNECT"), 400),
    ],
)
async def test_a_head_that_others_would_read_in_another_way(app: Asgi, origin: Sayings, made: Any, status: int) -> None:
    done = await ask(app, made)
    assert (done.status, done.whole) == (status, True)
    assert not origin.heads


async def test_a_body_whose_length_nobody_says(app: Asgi, origin: Sayings) -> None:
    """HTTP/2 has no framing fields: the first message tells whether there is a body."""
    assert (await ask(app, scope("/none", http_version="2"))).body == b"/none"
    assert b"transfer-encoding" not in origin.heads[0]
    done = await ask(app, scope("/some", "POST", http_version="2"), b"first ", b"second")
    assert done.body == b"/some"
    assert b"first " in origin.bodies[0] and b"second" in origin.bodies[0]


@pytest.mark.parametrize("app", ["endless"], indirect=True)
async def test_a_client_that_takes_nothing_holds_the_origin(app: Asgi, origin: Sayings) -> None:
    exchange = Exchange(app, scope("/endless"))
    running = asyncio.create_task(exchange.run())
    async with asyncio.timeout(_PATIENCE):
        await exchange.has(1)
        exchange.taking.clear()
        before = -1
        while origin.written != before:  # until the sockets' buffers are full
            before = origin.written
            await asyncio.sleep(0.2)
        taken = len(exchange.body)
        exchange.taking.set()
        await exchange.has(taken + 1_000_000)
        exchange.leave()
        await running
        await origin.closed.wait()
    assert before < taken + 16 * 1024 * 1024


@pytest.mark.parametrize("app", ["short"], indirect=True)
async def test_an_answer_that_is_not_whole_does_not_end_well(app: Asgi) -> None:
    exchange = Exchange(app, scope("/short"))
    with pytest.raises(Exception, match="closed before"):
        await exchange.run()
    assert not exchange.whole


async def test_a_websocket_is_turned_away(app: Asgi) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": "websocket"}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_kind_of_scope_that_is_not_known(app: Asgi) -> None:
    with pytest.raises(ValueError, match="telnet"):
        await ask(app, scope(type="telnet"))


# start and stop


async def told(app: Asgi, *steps: str) -> list[dict[str, Any]]:
    """What a server hears of these steps of the lifespan protocol."""
    heard: list[dict[str, Any]] = []
    coming = iter([{"type": f"lifespan.{step}"} for step in steps])

    async def receive() -> dict[str, Any]:
        return next(coming)

    async def send(message: dict[str, Any]) -> None:
        heard.append(message)

    async with asyncio.timeout(_PATIENCE):
        await app({"type": "lifespan"}, receive, send)
    return heard


async def test_the_server_starts_and_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "wws.toml"
    file.write_text(TOML.format(port=1))
    monkeypatch.setenv("WWS_CONFIG", str(file))
    assert [message["type"] for message in await told(Asgi(), "startup", "shutdown")] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_a_project_that_is_wrong_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "wws.toml"
    file.write_text('nam = "x"\n[kv]\nstore = "floppy:"\n')
    [message] = await told(Asgi(file), "startup")
    assert message["type"] == "lifespan.startup.failed"
    assert "nam" in message["message"] and "floppy" in message["message"]
    with pytest.raises(ConfigError):
        async with Asgi(file).lifespan():
            pass


async def test_without_a_word_of_the_server_it_starts_with_the_first_request(tmp_path: Path) -> None:
    file = tmp_path / "wws.toml"
    file.write_text(TOML.format(port=1))
    app = Asgi(file)
    first, second = await asyncio.gather(ask(app, scope("/healthz")), ask(app, scope("/healthz")))
    assert (first.status, second.status) == (200, 200)
    async with app.lifespan():
        pass  # ends what the request began
