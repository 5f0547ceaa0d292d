"""The self-hosted gateway: `wws serve`."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.program import Gateway

__all__ = ["ServerHost"]


class ServerHost(Gateway):
    """See `tests.scenarios.hosts.Host`."""

    own = '[server]\nlisten = "127.0.0.1:0"\nadmin = "off"\n\n[kv]\nstore = "lmdb:./state"\n'

    def __init__(self, folder: Path, toml: str, env: dict[str, str]) -> None:
        super().__init__(folder, toml, env=env)

    def __exit__(self, *_: object) -> None:
        assert self.stop() == 0, self.stderr  # there are tracebacks: of functions that fail because they are to
