"""`wws.asgi:app` in the ASGI servers there are."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.scenarios.hosts.program import Program

__all__ = ["GranianHost", "HypercornHost", "UvicornHost"]

_APP = "wws.asgi:app"
_BIN = Path(sys.executable).parent
_OWN = '[kv]\nstore = "lmdb:./state"\n'


class UvicornHost(Program):
    """uvicorn, its httptools and uvloop."""

    own = _OWN

    def __init__(self, folder: Path, toml: str, env: dict[str, str]) -> None:
        super().__init__(folder, toml, env, lambda port: [str(_BIN / "uvicorn"), _APP, "--port", str(port)])

    def ended(self, status: int) -> None:
        super().ended(status)
        assert "Finished server process" in self.output


class HypercornHost(Program):
    """hypercorn, which speaks HTTP/2 too."""

    own = _OWN

    def __init__(self, folder: Path, toml: str, env: dict[str, str]) -> None:
        super().__init__(folder, toml, env, lambda port: [str(_BIN / "hypercorn"), _APP, "--bind", f"127.0.0.1:{port}"])


class GranianHost(Program):
    """granian, whose sockets are Rust's."""

    own = _OWN

    def __init__(self, folder: Path, toml: str, env: dict[str, str]) -> None:
        words = [str(_BIN / "granian"), "--interface", "asgi", "--host", "127.0.0.1", _APP]
        super().__init__(folder, toml, env, lambda port: [*words, "--port", str(port)])
