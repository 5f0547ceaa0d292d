"""`wws versions`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from wws.cli.options import Config, Json, command
from wws.cli.output import print_json, print_table
from wws.cli.remote import AdminUrl, Remote

app = command()


@app.command()
def versions(url: AdminUrl = None, config: Config = None, json: Json = False) -> None:
    """List what was deployed to a gateway, the latest first; `local` is the folder it was started in.

    \b
    Example:
      wws versions --url https://admin.example.com
    """
    state = Remote(url, config).ask("GET", "/api/versions")
    if json:
        print_json(state)
        return
    print_table(("version", "state", "name", "added", "by", "files", "bytes"), map(_row, state["versions"]))


def _row(release: dict[str, Any]) -> tuple[str, ...]:
    if "added" not in release:
        return release["version"], release["state"], "", "", "", "", ""
    added = datetime.fromtimestamp(release["added"], UTC).strftime("%Y-%m-%d %H:%M")
    return (
        release["version"], release["state"], release["name"], added, release["by"], str(release["files"]), str(release["size"]),
    )  # fmt: skip
