"""Running the command: in this process, and as a user does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner

from wws.cli.app import app

COMMAND = Path(sys.executable).with_name("wws")


class Done(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def wws(*arguments: str, stdin: str = "") -> Done:
    """`wws ARGUMENTS` in this process; an exception that is not ours fails the test."""
    result = CliRunner().invoke(app, list(arguments), input=stdin, prog_name="wws")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def process(*arguments: str, stdin: str = "", cwd: Path | None = None) -> Done:
    """`wws ARGUMENTS` as its own process."""
    done = subprocess.run([COMMAND, *arguments], input=stdin, capture_output=True, text=True, cwd=cwd, timeout=30)
    return Done(done.returncode, done.stdout, done.stderr)
