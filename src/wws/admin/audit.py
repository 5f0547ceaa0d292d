"""A line for each change: who, what, when and with what result, in `.wws/audit.jsonl` and in the log."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from wws.admin.access import Who

__all__ = ["FILE", "Audit"]

FILE = Path(".wws") / "audit.jsonl"
_log = logging.getLogger("wws.audit")


class Audit:
    """Appends to the file in `home`; each line is on disk before the change is answered. Raises `OSError`."""

    def __init__(self, home: Path, time: Callable[[], float]) -> None:
        self._file = home / FILE
        self._time = time

    def add(self, who: Who, what: str, result: str, **details: object) -> None:
        """`result` is `done` or why not. Details hold no secret. Blocking."""
        when = datetime.fromtimestamp(self._time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {"at": when, "who": who.name, "token": who.id, "what": what, "result": result, **details}
        line = json.dumps(fields, ensure_ascii=False)
        _log.info("%s", line)
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, line.encode() + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
