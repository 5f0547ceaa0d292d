"""The parent of several workers: owns the listening sockets, keeps the workers alive, and speaks for all of them.

It has an event loop for signals and channels only, and leaves it to fork: a child that began inside a running loop would
inherit it. It opens no store and answers no request.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import selectors
import signal
import socket
import sqlite3
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from wws.bindings import SystemClock
from wws.errors import ConfigError, Problem, StoreError, WwsError
from wws.hosts.server import worker
from wws.hosts.server.channel import Channel, ChannelError
from wws.hosts.server.control import families, status
from wws.hosts.server.crew import HEALTHY, Worker, how, restart_delay
from wws.hosts.server.forgotten import Rings, Voice
from wws.hosts.server.listening import Crowd
from wws.hosts.server.main import cannot_listen
from wws.hosts.server.places import SharedPlaces
from wws.hosts.server.process import ledger_of
from wws.hosts.server.reload import History, Reloaded, failed, identity, unchangeable
from wws.hosts.server.server import listening_sockets, remove_own
from wws.hosts.server.serving import tell, tls_of
from wws.hosts.server.worker import RELOADS, Place
from wws.observe.merge import Totals, exposition, snapshot
from wws.project.address import Address
from wws.project.settings import Project

__all__ = ["Supervisor"]

ANSWERS = 1.0
"""Seconds in which a worker must answer a question about itself; what it told last counts when it does not."""
MARGIN = 5.0
"""Seconds over its time after which a worker that should have ended is killed."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)
_log = logging.getLogger("wws.server")


class Supervisor:
    """Runs `count` workers on one project. `load` reads the project anew, for a reload."""

    def __init__(self, project: Project, load: Callable[[], Project], count: int) -> None:
        self.project = self.started = project
        self.count = count
        self.reloads = History()
        self.restarts = [0] * count
        self.workers: dict[int, Worker] = {}
        self._load = load
        self._clock = SystemClock()
        self._crowd = Crowd(3 * count)
        self._places = SharedPlaces(count)
        self._forgotten = Rings(self._crowd.seats)
        self._ended = Totals()
        self._failures = [0] * count
        self._due: deque[tuple[int, asyncio.Future[Worker] | None]] = deque([(number, None) for number in range(count)])
        self._stopping = self._finished = self._up = False
        self._failure: WwsError | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._busy = asyncio.Lock()
        self._public: list[socket.socket] = []
        self._admin: list[socket.socket] = []
        self._unix: list[tuple[str, int]] = []
        self._words = ""
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)

    def run(self) -> int:
        """Serves until SIGINT or SIGTERM. Raises `ConfigError` or `StoreError` when the workers cannot start."""
        tls = tls_of(self.project) is not None
        self._bind(tls)
        with suppress(OSError, sqlite3.Error):  # the workers cannot use the folder either, and tell why
            ledger_of(self.project).create()
        for event, handle in (
            (signal.SIGINT, self._interrupted), (signal.SIGTERM, self.stop), (signal.SIGHUP, self._reload_soon),
            (signal.SIGUSR2, self._recycle_soon), (signal.SIGCHLD, self._reap),
        ):  # fmt: skip
            self._loop.add_signal_handler(event, handle)
        gc.collect()
        gc.freeze()  # the pages of what lives now stay shared with the workers
        while not self._finished:
            while self._due and not self._stopping:
                number, wanted = self._due.popleft()
                made = self._fork(number)
                if wanted is not None:
                    wanted.set_result(made)
            self._loop.run_forever()
        self._loop.run_until_complete(self._last())
        self._loop.close()
        if self._failure is not None:
            raise self._failure
        return 0

    def _bind(self, tls: bool) -> None:
        settings = self.project.server
        public = self._listen(settings.listen, "server.listen", self._public)
        self._words = f"ready on {'https' if tls else 'http'}://{public}"
        if settings.admin is not None:
            self._words += f", admin on http://{self._listen(settings.admin, 'server.admin', self._admin)}"

    def _listen(self, address: Address, key: str, into: list[socket.socket]) -> str:
        try:
            sockets, bound = listening_sockets(address)
        except OSError as error:
            raise cannot_listen(str(address), key, self.project, error) from None
        into += sockets
        if address.unix is not None:
            self._unix.append((address.unix, os.stat(address.unix).st_ino))
        return bound

    # workers

    def _fork(self, number: int) -> Worker:
        taken = {one.seat for one in self.workers.values()}
        seat = next(seat for seat in range(self._crowd.seats) if seat not in taken)
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            ours.close()
            voice = Voice(self._forgotten, seat)
            self._become(Place(number, seat, self._crowd, self._public, self._admin, theirs, self._places, voice))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()
        made = self.workers[pid] = Worker(number, seat, pid, self._clock.monotonic())
        made.descriptor = ours.fileno()
        self._begin(self._attach(made, ours))
        return made

    def _become(self, place: Place) -> NoReturn:
        """The rest of the child's life. Nothing of the parent's is left in it but the listening sockets."""
        ended = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            self._selector.close()
            for other in self.workers.values():  # or the others would not see that the parent is gone
                os.close(other.descriptor)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            ended = worker.work(self.project, self._load, place)
        except BaseException:
            _log.exception("worker %d failed", place.number)
        finally:
            logging.shutdown()
            sys.stdout.flush()
            os._exit(ended)

    async def _attach(self, made: Worker, sock: socket.socket) -> None:
        made.channel = await Channel.open(sock, partial(self._told, made))

    async def _told(self, by: Worker, what: str, value: Any) -> Any:
        """What a worker says or asks."""
        match what:
            case "ready":
                self._is_ready(by, value)
            case "counts":
                by.counts = value
            case "failed":
                by.state = "failed"
                self._cannot(by, *value)
            case "metrics":
                return (await self.metrics()).decode()
            case "status":
                return await self.status()
            case "reload":
                return await self.reload()
            case "gather":
                return [answer for _, answer in await self._ask_all("watch", value=value) if not isinstance(answer, ChannelError)]
        return None

    def _is_ready(self, one: Worker, serves: str) -> None:
        one.state = "ready"
        one.became_ready.set()
        if serves != identity(self.project):  # it was started while the others were given another one
            self._begin(self._catch_up(one))
        if not self._up and sum(other.state == "ready" for other in self.workers.values()) == self.count:
            self._up = True
            sys.stderr.write(f"wws {self._words}\n")
            sys.stderr.flush()

    def _cannot(self, one: Worker, message: str, problems: list[Any]) -> None:
        """A worker cannot be made. At the start that is the end; later the others serve on and it is tried again."""
        if self._up:
            _log.error("worker %d cannot start: %s", one.number, message)
        elif self._failure is None:
            found = [Problem(*problem) for problem in problems]
            self._failure = ConfigError(found) if found else StoreError(message)
            self.stop()

    def _reap(self) -> None:
        for pid in list(self.workers):
            found, ended = os.waitpid(pid, os.WNOHANG)
            if found:
                self._gone(self.workers.pop(pid), os.waitstatus_to_exitcode(ended))
        if self._stopping and not self.workers and not self._finished:
            self._finished = True
            self._loop.stop()

    def _gone(self, one: Worker, ended: int) -> None:
        self._crowd.leave(one.seat)
        self._begin(self._keep_counts(one))
        one.became_ready.set()
        if self._stopping or one.state == "leaving":
            return
        if not self._up and one.state == "starting":
            self._failure = self._failure or WwsError(f"worker {one.number} {how(ended)} before it was ready")
            self.stop()
            return
        lived = self._clock.monotonic() - one.since
        self._failures[one.number] = failures = 1 if lived >= HEALTHY else self._failures[one.number] + 1
        delay = restart_delay(failures)
        after = f" in {delay:g} s" if delay else ""
        _log.error("worker %d (process %d) %s: another one is started%s", one.number, one.pid, how(ended), after)
        self.restarts[one.number] += 1
        self._loop.call_later(delay, self._due_now, one.number)

    def _due_now(self, number: int, wanted: asyncio.Future[Worker] | None = None) -> None:
        """Forks as soon as the loop has stopped; `wanted` gets the worker."""
        if self._stopping:
            return
        self._due.append((number, wanted))
        self._loop.stop()

    async def _keep_counts(self, one: Worker) -> None:
        """What a worker had counted is kept: it may have told more of it than we have read."""
        if one.channel is not None:
            await asyncio.wait({self._loop.create_task(one.channel.closed.wait())}, timeout=ANSWERS)
        counts, one.counts = one.counts, []
        self._ended.add(counts, ended=True)

    def _begin(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _serving(self) -> list[Worker]:
        return [one for one in self.workers.values() if one.state == "ready" and one.channel is not None]

    async def _ask(self, one: Worker, what: str, value: Any = None, timeout: float = ANSWERS) -> Any:
        """One worker's answer, or the `ChannelError` that came instead."""
        try:
            return await one.channel.ask(what, value, timeout) if one.channel is not None else None
        except ChannelError as error:
            return error

    async def _ask_all(self, what: str, timeout: float = ANSWERS, value: Any = None) -> list[tuple[Worker, Any]]:
        asked = self._serving()
        return list(zip(asked, await asyncio.gather(*[self._ask(one, what, value, timeout) for one in asked]), strict=True))

    # the gateway as a whole: `Control`

    async def metrics(self) -> bytes:
        """See `Control`. A worker that does not answer counts with what it told last."""
        for one, counts in await self._ask_all("counts"):
            if not isinstance(counts, ChannelError):
                one.counts = counts
        totals = Totals()
        totals.add(self._ended.snapshot())
        for one in self.workers.values():
            totals.add(one.counts)
        totals.add(snapshot(families(self.reloads.counts, len(self._serving()), sum(self.restarts))))
        return exposition(totals)

    async def status(self) -> dict[str, Any]:
        """See `Control`."""
        answers = {one.pid: fields for one, fields in await self._ask_all("status") if not isinstance(fields, ChannelError)}
        workers = []
        for one in sorted(self.workers.values(), key=lambda one: (one.number, one.since)):
            fields: dict[str, Any] = answers.get(one.pid) or {
                "state": one.state if one.state != "ready" else "silent",
                "uptime": round(self._clock.monotonic() - one.since, 1),
            }
            workers.append({"worker": one.number, "pid": one.pid, "restarts": self.restarts[one.number], **fields})
        return {
            **status(self.project, self.started, workers, self.reloads.fields(), sum(self.restarts)),
            "supervisor": os.getpid(),
        }

    async def reload(self) -> Reloaded:
        """See `Control`: every worker makes the new project ready, and when all have, all switch."""
        async with self._busy:
            version = self.project.policy.version
            try:
                project = self._load()
                reloaded = await self._reload(project)
            except WwsError as error:
                reloaded = failed(error, version)
        self.reloads.note(reloaded, self._clock.time())
        tell(reloaded)
        return reloaded

    async def _reload(self, project: Project) -> Reloaded:
        wanted = identity(project)
        for one, answer in await self._ask_all("prepare", RELOADS):
            if isinstance(answer, ChannelError) and one.pid in self.workers:
                raise WwsError(f"worker {one.number}: {answer}")
            if not isinstance(answer, ChannelError) and answer != wanted:
                raise WwsError(f"{project.path} was changed while it was read: reload once more")
        self.project = project
        await self._ask_all("switch", RELOADS)
        return Reloaded(True, project.policy.version, [], [*map(str, project.warnings), *unchangeable(self.started, project)])

    async def _catch_up(self, one: Worker) -> None:
        async with self._busy:
            answers = [await self._ask(one, what, None, RELOADS) for what in ("prepare", "switch")]
        if any(isinstance(answer, ChannelError) for answer in answers):
            _log.error("worker %d serves an older configuration: reload once more", one.number)

    async def recycle(self) -> None:
        """Puts a new process in the place of each worker, one after the other; the old one finishes what it has begun."""
        async with self._busy:
            for number in range(self.count):
                before = [one for one in self._serving() if one.number == number]
                wanted: asyncio.Future[Worker] = self._loop.create_future()
                self._due_now(number, wanted)
                made = await wanted
                await made.became_ready.wait()
                if made.state != "ready":
                    _log.error("no new worker %d could be started: the others stay as they are", number)
                    return
                for one in before:
                    self._leave(one, delay=False)
        _log.info("all workers are new")

    # signals and the end

    def _reload_soon(self) -> None:
        if not self._stopping:
            self._begin(self.reload())

    def _recycle_soon(self) -> None:
        if not self._stopping:
            self._begin(self.recycle())

    def _interrupted(self) -> None:
        if self._stopping:
            for one in self.workers.values():
                if one.channel is not None:
                    one.channel.tell("hurry")
        else:
            self.stop()

    def _leave(self, one: Worker, *, delay: bool) -> None:
        """Has a worker finish and end, and kills it when it does not."""
        settings = self.project.server
        one.state = "leaving"
        if one.channel is not None:
            one.channel.tell("drain", delay)
        patience = settings.drain_delay + settings.grace * 7 / 6 + MARGIN
        self._loop.call_later(patience, self._kill, one)

    def _kill(self, one: Worker) -> None:
        if one.pid in self.workers:
            _log.error("worker %d (process %d) does not end: it is killed", one.number, one.pid)
            os.kill(one.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Ends every worker, and then itself."""
        if self._stopping:
            return
        self._stopping = True
        for listener in (*self._public, *self._admin):
            listener.close()  # the workers have them too; the last one to close refuses what comes after
        for one in self.workers.values():
            self._leave(one, delay=True)
        self._reap()

    async def _last(self) -> None:
        """What still goes on when all workers are gone."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=ANSWERS)
        for path, inode in self._unix:
            remove_own(path, inode)
