"""Files of a project that were saved: what `wws dev` reads the project again for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from wws.project.environment import DEV_VARS
from wws.project.files import FOLDERS
from wws.project.vault import FILE as SECRETS

__all__ = ["changes", "relevant"]

QUIET: Final = 20
"""Milliseconds without another change after which what was saved is read: an editor writes a file in several steps."""
LONGEST: Final = 100
"""Milliseconds for which it is waited at most."""
_LEFT_OUT: Final = frozenset({"__pycache__", "node_modules"})


def relevant(config: Path, path: Path) -> bool:
    """Whether a change of `path` can change what is served."""
    folder = config.parent
    if path in (config, folder / DEV_VARS, folder / SECRETS):
        return True
    try:
        parts = path.relative_to(folder).parts
    except ValueError:
        return False
    if parts[0] not in FOLDERS or any(part in _LEFT_OUT for part in parts):
        return False
    return not parts[-1].endswith((".pyc", ".swp", "~", ".tmp"))


async def changes(config: Path, stop: asyncio.Event) -> AsyncIterator[set[Path]]:
    """The project's files that were saved, each time some were; `config` is an absolute path.

    Folders that come later are watched from then on.
    """
    while not stop.is_set():
        folders = await asyncio.to_thread(_folders, config.parent)
        again = asyncio.Event()
        queue: asyncio.Queue[set[Path]] = asyncio.Queue()
        watchers = [asyncio.ensure_future(_watch([config.parent], False, config, queue, again))]
        if folders:
            watchers.append(asyncio.ensure_future(_watch(folders, True, config, queue, again)))
        ended = [asyncio.ensure_future(event.wait()) for event in (stop, again)]
        try:
            while not (stop.is_set() or again.is_set()):
                getting = asyncio.ensure_future(queue.get())
                await asyncio.wait({getting, *ended}, return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    yield getting.result()
                getting.cancel()
        finally:
            again.set()
            for task in (*watchers, *ended):
                task.cancel()
            for task in watchers:
                with suppress(asyncio.CancelledError):
                    await task


def _folders(home: Path) -> list[Path]:
    """Those of the project's folders that are there."""
    return [home / name for name in FOLDERS if (home / name).is_dir()]


async def _watch(paths: list[Path], deep: bool, config: Path, queue: asyncio.Queue[set[Path]], again: asyncio.Event) -> None:
    def wanted(change: Change, path: str) -> bool:
        return relevant(config, Path(path)) or (not deep and Path(path).name in FOLDERS)

    async for found in awatch(
        *paths, watch_filter=wanted, debounce=LONGEST, step=QUIET, recursive=deep, stop_event=again, ignore_permission_denied=True
    ):
        queue.put_nowait({Path(path) for _, path in found})
        if any(Path(path).parent == config.parent and Path(path).name in FOLDERS for _, path in found):
            again.set()
