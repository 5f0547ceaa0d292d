"""The self-hosted gateway: serves a project until told to stop, in this process or in several workers."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from wws.errors import ConfigError, Problem
from wws.hosts.server import demo as demo_parts
from wws.hosts.server.control import Alone
from wws.hosts.server.operating import operating
from wws.hosts.server.process import worker_count
from wws.hosts.server.server import Server
from wws.hosts.server.serving import ADMIN_GRACE, Serving, store_of
from wws.observe.log import configure
from wws.project.settings import Project

__all__ = ["run", "serve", "worker_count"]

_log = logging.getLogger("wws.server")


def serve(project: Project, demo: bool = False, load: Callable[[], Project] | None = None, *, dev: bool = False) -> int:
    """Serves `project` in the foreground until SIGINT or SIGTERM; the exit status. Raises `ConfigError`, `StoreError`.

    `load` reads the project anew when SIGHUP asks for it. Demo parts live in one process, whatever `workers` says.
    With `dev` it is read anew when it is saved, and mistakes are shown in answers.
    """
    configure()
    again = load or (lambda: project)
    workers = worker_count(project)
    if workers > 1 and demo:
        _log.warning("server.workers is %s: with demo parts one process serves", project.server.workers)
    elif workers > 1:
        from wws.hosts.server.supervisor import Supervisor

        return Supervisor(project, again, workers).run()
    run(_serve(project, demo, again, dev))
    return 0


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs `main` to its end on the fastest event loop there is."""
    try:
        import uvloop
    except ImportError:  # another platform or interpreter: asyncio's own loop does the same, slower
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _serve(project: Project, demo: bool, load: Callable[[], Project], dev: bool) -> None:
    loop = asyncio.get_running_loop()
    store = store_of(project)
    try:
        await _serve_alone(Serving(project, store, loop, load, demo), loop, dev)
    finally:
        store.close()


async def _serve_alone(serving: Serving, loop: asyncio.AbstractEventLoop, dev: bool) -> None:
    await serving.begin()
    project, server, process = serving.started, serving.server, serving.process
    settings = project.server
    admin = Server(operating(serving, Alone(serving)), loop) if settings.admin is not None else None
    tasks = _signals(serving, loop)
    if dev:
        from wws.hosts.server.dev import develop

        tasks.add(loop.create_task(develop(serving)))
    bound = await _listen(server, str(settings.listen), "server.listen", project)
    words = f"ready on {server.scheme}://{bound}"
    if admin is not None:
        words += f", admin on http://{await _listen(admin, str(settings.admin), 'server.admin', project)}"
    if serving.demo:
        key = await demo_parts.make_key(process.generation.env)
        base = f"{server.scheme}://{bound}"
        sys.stdout.write(demo_parts.welcome(base, key, serving.sandboxed, serving.origin is not None))
        sys.stdout.flush()
    sys.stderr.write(f"wws {words}\n")
    sys.stderr.flush()
    serving.ready()
    await serving.stop.wait()
    await serving.drain()
    for task in tasks:
        task.cancel()
    if admin is not None:
        await admin.stop(ADMIN_GRACE)
    await serving.close()


async def _listen(server: Server, address: str, key: str, project: Project) -> str:
    try:
        return await server.listen(address)
    except OSError as error:
        raise cannot_listen(address, key, project, error) from None


def cannot_listen(address: str, key: str, project: Project, error: OSError) -> ConfigError:
    """What to tell of an address that cannot be had."""
    message = f"cannot listen on {address}: {error.strerror or error}. Is another process there? Choose another address."
    return ConfigError([Problem(str(project.path), None, key, message)])


def _signals(serving: Serving, loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    """Hears SIGINT and SIGTERM (stop; a second SIGINT: at once), SIGHUP (reload) and SIGUSR2, which is for workers.

    To be asked for before anyone is told that we are ready, for a signal may follow at once. Gives what goes on because of them.
    """
    tasks: set[asyncio.Task[Any]] = set()

    def interrupted() -> None:
        (serving.hurry if serving.stop.is_set() else serving.stop).set()

    def reload() -> None:
        if not serving.stop.is_set():
            task = loop.create_task(serving.reload())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def recycle() -> None:
        _log.warning("SIGUSR2 replaces workers: with workers = 1 there are none")

    for number, handle in (
        (signal.SIGINT, interrupted),
        (signal.SIGTERM, serving.stop.set),
        (signal.SIGHUP, reload),
        (signal.SIGUSR2, recycle),
    ):
        loop.add_signal_handler(number, handle)
    return tasks
