"""One queue of connections, and several who take from it."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any

import pytest

from tests.hosts.server.wire import until
from wws.hosts.server import listening
from wws.hosts.server.listening import SLACK, Acceptor, Crowd, bind


class Counted(asyncio.Protocol):
    """One accepted connection of `taken`."""

    def __init__(self, taken: list[Any]) -> None:
        self.taken = taken

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.taken.append(transport)


class Queue:
    """A listening socket, and processes that accept from it."""

    def __init__(self, seats: int) -> None:
        [self.listener] = bind("127.0.0.1", 0)
        self.port: int = self.listener.getsockname()[1]
        self.crowd = Crowd(seats)
        self.taken: list[list[Any]] = [[] for _ in range(seats)]
        self.clients: list[socket.socket] = []
        loop = asyncio.get_running_loop()
        self.acceptors = [
            Acceptor(
                socket.socket(fileno=os.dup(self.listener.fileno())), loop, lambda taken=taken: Counted(taken),  # type: ignore[misc]
                crowd=self.crowd, seat=seat, count=lambda taken=taken: len(taken),  # type: ignore[misc]
            )
            for seat, taken in enumerate(self.taken)
        ]  # fmt: skip

    def knock(self, count: int) -> None:
        for _ in range(count):
            client = socket.socket()
            client.setblocking(False)
            assert client.connect_ex(("127.0.0.1", self.port)) in (0, errno.EINPROGRESS)
            self.clients.append(client)

    async def close(self) -> None:
        for acceptor in self.acceptors:
            await acceptor.close()
        self.listener.close()
        for transport in [one for taken in self.taken for one in taken]:
            transport.abort()
        for client in self.clients:
            client.close()
        await asyncio.sleep(0)


async def test_the_connections_are_shared_out() -> None:
    queue = Queue(3)
    queue.knock(60)
    await until(lambda: sum(map(len, queue.taken)) == 60)
    assert max(map(len, queue.taken)) - min(map(len, queue.taken)) <= SLACK + 60 // 8 + 1
    await queue.close()


async def test_one_that_has_more_takes_what_nobody_else_does() -> None:
    queue = Queue(2)
    queue.crowd.set(1, 0)
    await queue.acceptors[1].close()  # it stands still, and looks idle
    queue.knock(20)
    await until(lambda: len(queue.taken[0]) == 20)
    assert not queue.taken[1]
    queue.acceptors.pop()
    await queue.close()


async def test_what_waits_at_the_end_is_taken() -> None:
    queue = Queue(1)
    queue.knock(5)
    await queue.acceptors[0].close()
    assert len(queue.taken[0]) == 5
    queue.acceptors.clear()
    await queue.close()


async def test_no_descriptors_left_is_no_end(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    class Full:
        """A listener whose process has used up its descriptors, at first."""

        def __init__(self, real: socket.socket) -> None:
            self.real, self.failures = real, 1

        def accept(self) -> Any:
            if self.failures:
                self.failures -= 1
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return self.real.accept()

        def fileno(self) -> int:
            return self.real.fileno()

        def close(self) -> None:
            self.real.close()

    monkeypatch.setattr(listening, "PAUSE", 0.02)
    queue = Queue(1)
    queue.acceptors[0]._socket = Full(queue.acceptors[0]._socket)  # type: ignore[assignment]
    queue.knock(3)
    await until(lambda: len(queue.taken[0]) == 3)
    assert caplog.text.count("cannot accept connections") == 1
    await queue.close()


async def test_accepted_connections_do_not_wait_for_more_to_send() -> None:
    queue = Queue(1)
    queue.knock(1)
    await until(lambda: len(queue.taken[0]) == 1)
    sock = queue.taken[0][0].get_extra_info("socket")
    with socket.socket(fileno=os.dup(sock.fileno())) as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await queue.close()


# who has how many


def test_only_who_is_clearly_ahead_leaves_one_to_others() -> None:
    crowd = Crowd(3)
    crowd.set(0, 5)
    assert not crowd.ahead(0)  # alone
    crowd.set(1, 3)
    assert not crowd.ahead(0)
    crowd.set(1, 2)
    assert crowd.ahead(0) and not crowd.ahead(1)
    crowd.set(1, 80)
    crowd.set(0, 92)
    assert not crowd.ahead(0)  # with many there may be more between them
    crowd.leave(1)
    assert not crowd.ahead(0)
    assert not crowd.ahead(2)  # nobody sits there


# binding


def test_every_address_of_a_name_has_the_same_port() -> None:
    sockets = bind("localhost", 0)
    assert len({one.getsockname()[1] for one in sockets}) == 1
    with pytest.raises(OSError):
        bind("127.0.0.1", sockets[0].getsockname()[1])
    for one in sockets:
        assert one.getblocking() is False
        one.close()
