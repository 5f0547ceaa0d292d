"""Cloudflare's own runtime, with the folder that `wws build --target cloudflare` makes."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

from tests.edge.kv_server import KVServer
from tests.edge.workerd import Workerd, configuration, runtime, snapshot
from tests.support.services import make_env
from wws.bindings import Secrets
from wws.functions.auth_admin import create_key
from wws.project.targets.cloudflare import build_here, load
from wws.stores.memory import MemoryStore

__all__ = ["WorkerdHost"]

_PATIENCE = 10.0


class WorkerdHost:
    """See `tests.scenarios.hosts.Host`. KV is a server in a thread of its own; API keys are put there as a deployment's are."""

    own = ""

    def __init__(self, folder: Path, toml: str, env: dict[str, str], *, dedicated: bool = False) -> None:
        self.url = ""
        self.folder = folder
        self.kv = KVServer()
        self._env = {**env, "WWS_PEPPER": "a pepper of the tests, 32 bytes.."}
        self._dedicated = dedicated
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kv", daemon=True)
        self._workerd: Workerd | None = None
        self._start: Callable[[], Workerd] | None = None
        self.entry = ""
        """What is added to the worker's entry module."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "wws.toml").write_text(toml)

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self.kv.start(), self._loop).result(_PATIENCE)
        project = load(self.folder / "wws.toml", os.environ)
        built = build_here(project, self.folder / "built").path
        bindings = dict.fromkeys(("WWS_KV", *project.kv_namespaces), port)
        with (built / "src" / "entry.py").open("a") as entry:
            entry.write(self.entry)
        config = configuration(built, self._env, bindings, dedicated=self._dedicated)
        cache = runtime(self.folder)
        options = snapshot(config, cache, self.folder / "snapshot") if self._dedicated else ()
        self._start = partial(Workerd, config, cache, *options, log=self.folder / "workerd.log")
        self.start()
        return self

    def start(self) -> int:
        """Starts the runtime, and gives its port."""
        assert self._start is not None
        self._workerd = self._start()
        self.url = f"http://127.0.0.1:{self._workerd.port}"
        return self._workerd.port

    def stop(self) -> None:
        """Ends the runtime; what it has stored stays."""
        if self._workerd is not None:
            self._workerd.stop()
            self._workerd = None

    @property
    def ticks(self) -> str:
        """Where the runtime is told that a cron is due: `/?cron=...&at=SECONDS`."""
        assert self._workerd is not None
        return f"http://127.0.0.1:{self._workerd.ticks}"

    @property
    def process(self) -> int:
        """The runtime's process id."""
        assert self._workerd is not None
        return self._workerd.process.pid

    def __exit__(self, *_: object) -> None:
        self.stop()
        asyncio.run_coroutine_threadsafe(self.kv.stop(), self._loop).result(_PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    def create_key(self, *options: str) -> dict[str, Any]:
        """See `tests.scenarios.hosts.Host`; of the options only `--scope`."""
        names, values = options[::2], options[1::2]
        assert set(names) <= {"--scope"}, names
        store = MemoryStore()
        env = make_env(kv=store, secrets=Secrets(self._env["WWS_PEPPER"].encode()))
        made = create_key(env, "test", values or ("ai", "origin"), random=secrets.token_bytes)
        key_id, text, _ = asyncio.run(made)
        self._loop.call_soon_threadsafe(self._take_over, store)
        return {"id": key_id, "key": text}

    def _take_over(self, store: MemoryStore) -> None:
        for name, (value, _) in store._values.items():
            self.kv.put(name, value)
