from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wws.hosts.server.saved import changes, relevant


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("wws.toml", True), (".dev.vars", True), (".wws/secrets.json", True), ("functions/a.py", True),
        ("functions/x/[id].py", True),
        ("public/index.html", True), ("README.md", False), (".wws/state/kv.mdb", False), ("functions/__pycache__/a.pyc", False),
        ("functions/a.py~", False), ("functions/.a.py.swp", False), ("public/node_modules/x.js", False), ("other/a.py", False),
        ("../elsewhere.py", False),
    ],
)  # fmt: skip
def test_what_can_change_what_is_served(tmp_path: Path, name: str, is_one: bool) -> None:
    config = tmp_path / "wws.toml"
    assert relevant(config, (tmp_path / name).resolve()) is is_one


async def test_files_folders_and_folders_that_come_later(tmp_path: Path) -> None:
    config = tmp_path / "wws.toml"
    config.write_text("")
    stop = asyncio.Event()
    found = changes(config, stop)
    queue: asyncio.Queue[set[Path]] = asyncio.Queue()

    async def take(source: AsyncIterator[set[Path]]) -> None:
        async for paths in source:
            queue.put_nowait(paths)

    taking = asyncio.create_task(take(found))

    async def seen(name: str, text: str) -> None:
        """Saves until it is noticed: a watch begins in its own time."""
        path = config.parent / name
        async with asyncio.timeout(20):
            while True:
                await asyncio.to_thread(path.write_text, text)
                try:
                    paths = await asyncio.wait_for(queue.get(), 0.5)
                except TimeoutError:
                    continue
                if path in paths:
                    return

    await seen("wws.toml", "a = 1\n")
    await asyncio.to_thread((config.parent / "functions").mkdir)
    await seen("functions/a.py", "x = 1\n")
    await asyncio.to_thread((config.parent / "functions" / "deep").mkdir)
    await seen("functions/deep/b.py", "x = 1\n")
    await asyncio.to_thread(shutil.rmtree, config.parent / "functions")
    await seen(".dev.vars", "A=1\n")
    assert not taking.done()
    stop.set()
    await asyncio.wait_for(taking, 10)
