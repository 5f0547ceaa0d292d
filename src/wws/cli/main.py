"""The command `wws`. `serve` and `dev` in their plain forms start without the command-line library, which is slow to import."""

from __future__ import annotations

import sys

from wws.errors import WwsError

__all__ = ["run"]


def run() -> None:
    """The console entry: runs the command and ends the process with its status (0 done, 1 failed, 2 usage)."""
    from wws.cli.launch import launch, plain

    if start := plain(sys.argv[1:]):
        try:
            sys.exit(launch(start))
        except WwsError as error:
            from wws.cli.output import fail

            sys.exit(fail(error))
        except KeyboardInterrupt:
            sys.exit(130)
    from wws.cli.app import app

    app(prog_name="wws")
