"""One of several workers: serves from sockets it was handed, and does what the supervisor says."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from wws.errors import ConfigError, WwsError
from wws.hosts.server.channel import Channel
from wws.hosts.server.forgotten import Voice
from wws.hosts.server.listening import Crowd
from wws.hosts.server.main import run
from wws.hosts.server.operating import operating
from wws.hosts.server.places import SharedPlaces
from wws.hosts.server.reload import Reloaded, identity
from wws.hosts.server.server import Server
from wws.hosts.server.serving import ADMIN_GRACE, Serving, store_of
from wws.observe.log import in_pieces
from wws.observe.merge import snapshot
from wws.project.settings import Project
from wws.stores import Store

__all__ = ["Place", "work"]

TOLD = 5.0
"""Seconds between two snapshots of what was counted: what is lost of the counts when a worker is killed."""
RELOADS = 60.0
"""Seconds that a reload of all workers may take: the code of functions is loaded in it."""
_log = logging.getLogger("wws.server")


class Place(NamedTuple):
    """What a worker is handed: its number, its seat in the crowd, the sockets it accepts from, its end of the channel, and what
    it shares with the others."""

    number: int
    seat: int
    crowd: Crowd
    public: list[socket.socket]
    admin: list[socket.socket]
    channel: socket.socket
    places: SharedPlaces
    voice: Voice


def work(project: Project, load: Callable[[], Project], place: Place) -> int:
    """Serves until the supervisor says stop; the exit status. To be called in a process that was just forked."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to all; the supervisor passes on what they mean
    worker = _Worker(project, load, place)
    run(worker.main())
    return worker.status


class _Everyone:
    """The `Control` of a worker: the supervisor asks all of them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def metrics(self) -> bytes:
        """See `Control`."""
        text: str = await self._channel.ask("metrics")
        return text.encode()

    async def status(self) -> dict[str, Any]:
        """See `Control`."""
        fields: dict[str, Any] = await self._channel.ask("status")
        return fields

    async def gather(self, what: str, value: Any) -> list[Any]:
        """See `Control`."""
        answers: list[Any] = await self._channel.ask("gather", [what, value])
        return answers

    async def reload(self) -> Reloaded:
        """See `Control`."""
        return Reloaded(*await self._channel.ask("reload", timeout=RELOADS))


class _Worker:
    def __init__(self, project: Project, load: Callable[[], Project], place: Place) -> None:
        self._project = project
        self._load = load
        self._place = place
        self._delay = True
        self.status = 0
        self._made = asyncio.Event()  # _serving is there
        self._serving: Serving

    async def main(self) -> None:
        loop = asyncio.get_running_loop()
        channel = await Channel.open(self._place.channel, self._told)
        try:
            store = store_of(self._project)
        except WwsError as error:
            await self._failed(channel, error)
            return
        try:
            await self._serve(loop, channel, store)
        except WwsError as error:
            await self._failed(channel, error)
        finally:
            store.close()

    async def _failed(self, channel: Channel, error: WwsError) -> None:
        """Tells why it cannot serve: the supervisor has the words for it."""
        self.status = 1
        problems = error.problems if isinstance(error, ConfigError) else []
        channel.tell("failed", [str(error), [[one.file, one.line, one.key, one.message] for one in problems]])
        await _hang_up(channel)

    async def _serve(self, loop: asyncio.AbstractEventLoop, channel: Channel, store: Store) -> None:
        place = self._place
        self._serving = serving = Serving(self._project, store, loop, self._load, places=place.places, forgotten=place.voice)
        self._made.set()
        if stat.S_ISFIFO(os.fstat(sys.stderr.fileno()).st_mode):
            serving.process.log.into(in_pieces)
        await serving.begin()
        serving.process.watchdog.replaced = True  # by the supervisor
        loop.add_signal_handler(signal.SIGTERM, serving.stop.set)
        for listener in place.public:
            serving.server.share(listener, place.crowd, place.seat)
        admin = Server(operating(serving, _Everyone(channel)), loop)
        lonely = Crowd(1)  # whoever has time answers the admin listener
        for listener in place.admin:
            admin.share(listener, lonely, 0)
        serving.ready()
        tasks = [loop.create_task(self._tell_counts(channel)), loop.create_task(self._orphaned(channel))]
        channel.tell("ready", identity(serving.process.generation.project))
        await serving.stop.wait()
        await serving.drain(delay=self._delay)
        for task in tasks:
            task.cancel()
        await admin.stop(ADMIN_GRACE)
        await serving.close()
        channel.tell("counts", snapshot(serving.process.metrics.collect()))
        await _hang_up(channel)

    async def _tell_counts(self, channel: Channel) -> None:
        while True:
            await asyncio.sleep(TOLD)
            channel.tell("counts", snapshot(self._serving.process.metrics.collect()))

    async def _orphaned(self, channel: Channel) -> None:
        """The supervisor is gone: whoever starts the next one needs the addresses, so there is no delay."""
        await channel.closed.wait()
        _log.error("the supervisor is gone: worker %d stops", self._place.number)
        self._delay = False
        self._serving.stop.set()

    async def _told(self, what: str, value: Any) -> Any:
        """What the supervisor asks or says, which may be before there is anything to tell."""
        await self._made.wait()
        serving = self._serving
        match what:
            case "counts":
                return snapshot(serving.process.metrics.collect())
            case "status":
                return serving.status()
            case "watch":
                return serving.process.watch.answer(*value)
            case "prepare":
                return identity(await serving.prepare())
            case "switch":
                return serving.switch()
            case "drain":
                self._delay = value
                serving.stop.set()
            case "hurry":
                serving.hurry.set()
        return None


async def _hang_up(channel: Channel) -> None:
    """Everything that was told has been sent when this returns."""
    channel.close()
    await channel.closed.wait()
