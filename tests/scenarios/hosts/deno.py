"""Deno, with the folder that `wws build --target deno` makes, from a memory snapshot and without one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.edge.deno import RUN, environment, prepare
from tests.scenarios.hosts.program import Program
from wws.project.targets.deno import build_here, load

__all__ = ["DenoHost", "PlainDenoHost"]

_PATIENCE = 60.0


class DenoHost(Program):
    """See `tests.scenarios.hosts.Host`. Deno KV is a file."""

    own = ""
    snapshot = True

    def __init__(self, folder: Path, toml: str, env: dict[str, str]) -> None:
        self.built = folder / "built"
        own = {"WWS_PEPPER": "a pepper of the tests, 32 bytes..", "WWS_KV": str(folder / "kv.sqlite3")}
        super().__init__(folder, toml, {**own, **env}, lambda port: [*RUN, str(self.built / "main.ts")])
        self.env = environment({**self.env, "WWS_LISTEN": f"127.0.0.1:{self.port}"})

    def __enter__(self) -> Self:
        build_here(load(self.config, os.environ), self.built)
        prepare(self.built, snapshot=self.snapshot)
        return super().__enter__()

    def ended(self, status: int) -> None:
        assert status == 0, self.output

    def create_key(self, *options: str) -> dict[str, Any]:
        done = subprocess.run(
            [*RUN, "keys.ts", "create", "--name", "test", *options],
            cwd=self.built,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        made: dict[str, Any] = json.loads(done.stdout)
        return made


class PlainDenoHost(DenoHost):
    """Without a snapshot: Python starts from nothing."""

    snapshot = False
