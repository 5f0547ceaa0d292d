"""A way to a TCP server that can be made slow, silent, or cut: `with SlowProxy(port) as proxy: proxy.delay = 0.2`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Self

__all__ = ["SlowProxy"]


class SlowProxy:
    """Passes bytes on, each piece `delay` seconds late (half of it each way). It runs in a thread of its own."""

    def __init__(self, target: int) -> None:
        self.delay = 0.0
        self.port = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def cut(self) -> None:
        """Ends all connections there are."""

        async def cut() -> None:
            for writer in self._writers:
                writer.transport.abort()

        asyncio.run_coroutine_threadsafe(cut(), self._loop).result(10.0)

    def __enter__(self) -> Self:
        self._thread.start()

        async def begin() -> asyncio.Server:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            return server

        self._server = asyncio.run_coroutine_threadsafe(begin(), self._loop).result(10.0)
        return self

    def __exit__(self, *_: object) -> None:
        async def end() -> None:
            self._server.close()
            while self._tasks:  # they end as their connections do
                for writer in self._writers:
                    writer.transport.abort()
                await asyncio.sleep(0.01)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            self._tasks.discard(task)
            return
        self._writers |= {writer, back}
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            for end in (writer, back):
                end.transport.abort()
                self._writers.discard(end)
            self._tasks.discard(task)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(65536):
                # Later pieces overtake none: each is due at its own time, and all wait for as long.
                self._loop.call_later(self.delay / 2, sink.write, piece)
            await asyncio.sleep(self.delay / 2)
        sink.transport.abort()
