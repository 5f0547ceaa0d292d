"""WebSockets through the gateway: a real client, a real server, and what stands between them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import Server, ServerConnection, serve

from tests.e2e.ask import ask
from tests.e2e.program import Gateway, until
from tests.e2e.projects import SERVER

TOML = (
    SERVER
    + """
[kv]
store = "lmdb:./state"
[limits]
address = "off"
[origin]
url = "{origin}"
[[routes]]
path = "/*"
to = "origin"
[[routes]]
path = "/private/*"
to = "origin"
auth = "required"
[[routes]]
path = "/seldom"
to = "origin"
limit = "1/hour"
"""
)


def echo(connection: ServerConnection) -> None:
    """Sends back what comes; some words make it do something else."""
    assert connection.request is not None
    try:
        for message in connection:
            if message == "who":
                connection.send(str(connection.request.headers.get("x-user-id")))
            elif message == "leave":
                connection.close(4001, "as you wish")
            else:
                connection.send(message)
    except ConnectionClosed:
        return


def gate(connection: ServerConnection, request: Any) -> Any:
    return connection.respond(HTTPStatus.FORBIDDEN, "not here\n") if request.path == "/closed" else None


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    server: Server
    with serve(echo, "127.0.0.1", 0, process_request=gate, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        try:
            with Gateway(tmp_path, TOML.format(origin=f"http://127.0.0.1:{port}")) as gateway:
                yield gateway
        finally:
            server.shutdown()
            thread.join()


def at(gateway: Gateway, path: str, **options: Any) -> Any:
    return connect(gateway.url.replace("http", "ws", 1) + path, max_size=None, **options)


def test_both_ways(gateway: Gateway) -> None:
    large = os.urandom(8_000_000)
    with at(gateway, "/chat?room=1") as socket:
        for message in ("hello", "gr\u00fc\u00df", b"\0\xff", "", large, "after"):
            socket.send(message)
            assert socket.recv(20) == message
        socket.ping().wait(5)
    line = until(lambda: next((one for one in gateway.log if one["status"] == 101), None), "the log line")
    assert (line["route"], line["outcome"]) == ("/*", "client_closed") or line["outcome"] == "done"
    assert line["bytes_out"] > len(large)
    until(lambda: "wws_requests_active 0" in ask(gateway.admin_url, "/metrics").body.decode(), "the end of the request")


def test_who_closes_says_why(gateway: Gateway) -> None:
    with at(gateway, "/chat") as socket:
        socket.send("leave")
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(10)
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "as you wish")


def test_many_at_once(gateway: Gateway) -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(at(gateway, "/chat")) for _ in range(20)]
        for number, socket in enumerate(sockets):
            socket.send(str(number))
        assert [socket.recv(10) for socket in sockets] == [str(number) for number in range(20)]


def test_one_who_does_not_read_is_not_buffered_for(gateway: Gateway) -> None:
    """What the origin echoes stands in the sockets' buffers, and everyone else is served."""
    with at(gateway, "/chat") as slow:
        sender = threading.Thread(target=lambda: [slow.send(b"x" * 1_000_000) for _ in range(8)])
        sender.start()
        with at(gateway, "/chat") as other:
            other.send("still here")
            assert other.recv(10) == "still here"
        assert sum(len(slow.recv(20)) for _ in range(8)) == 8_000_000
        sender.join()


def test_auth_and_limits_hold(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as refused, at(gateway, "/private/chat"):
        pass
    assert refused.value.response.status_code == 401
    made = gateway.create_key("--name", "socket")
    headers = {"Authorization": f"Bearer {made['key']}", "X-User-ID": "somebody else"}
    with at(gateway, "/private/chat", additional_headers=headers) as socket:
        socket.send("who")
        assert socket.recv(10) == f"key:{made['id']}"
    with at(gateway, "/seldom") as socket:
        assert socket.ping().wait(5)
    with pytest.raises(InvalidStatus) as limited, at(gateway, "/seldom"):
        pass
    assert limited.value.response.status_code == 429


def test_an_origin_that_will_not(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as refused, at(gateway, "/closed"):
        pass
    assert (refused.value.response.status_code, refused.value.response.body) == (403, b"not here\n")


def test_an_origin_that_is_not_there(tmp_path: Path) -> None:
    with Gateway(tmp_path, TOML.format(origin="http://127.0.0.1:9")) as gateway:
        with pytest.raises(InvalidStatus) as refused, at(gateway, "/chat"):
            pass
        assert refused.value.response.status_code == 502


def test_a_gateway_that_stops_ends_them(gateway: Gateway) -> None:
    with at(gateway, "/chat") as socket:
        socket.send("x")
        assert socket.recv(10) == "x"
        assert gateway.stop() == 0
        with pytest.raises(ConnectionClosed):
            socket.recv(10)
