"""`wws routes`."""

from __future__ import annotations

import os
from typing import Any

from wws.cli.launch import Start, project_of
from wws.cli.options import Config, Json, command
from wws.cli.output import note, print_json, print_table
from wws.core.policy import CachePolicy, Limit, Policy, Route
from wws.project.durations import duration
from wws.project.settings import Project

__all__ = ["listed"]

app = command()
_PERIODS = {1.0: "s", 60.0: "min", 3600.0: "hour", 86400.0: "day"}
_COLUMNS = ("path", "methods", "to", "auth", "limit", "cache", "file")


@app.command()
def routes(config: Config = None, json: Json = False) -> None:
    """List what is served where: path, methods, who answers, who may ask, how often, what is kept, and the function's file.

    \b
    Example:
      wws routes
    """
    project = project_of(Start("dev", None if config is None else str(config)), os.environ)
    for problem in project.functions.broken:
        note(f"error: {problem}")
    rows = listed(project)
    if json:
        print_json(rows)
    else:
        print_table(_COLUMNS, [[str(row[column] or "") for column in _COLUMNS] for row in rows], loose=0)


def listed(project: Project) -> list[dict[str, Any]]:
    """Every route as a row of the table."""
    policy, functions = project.policy, project.functions.functions
    return [_row(route, path, policy, functions, project) for route in policy.routes for path in (route.path, *route.aliases)]


def _row(route: Route, path: str, policy: Policy, functions: Any, project: Project) -> dict[str, Any]:
    found = functions.get(route.target) if route.to == "function" else None
    return {
        "path": path,
        "methods": _methods(route, found),
        "to": route.to if route.target is None else f"{route.to}:{route.target}",
        "auth": route.auth,
        "limit": "off" if route.unlimited else _limit(route.limit or policy.limits.get(path) or policy.limits.get("default")),
        "cache": _cache(route.cache),
        "file": None if found is None else found.file.relative_to(project.folder).as_posix(),
    }


def _methods(route: Route, found: Any) -> str | None:
    if route.methods is not None:
        return " ".join(route.methods)
    if found is not None and found.handlers and "fetch" not in found.handlers:
        return " ".join(sorted(name.upper() for name in found.handlers if name not in ("scheduled", "queue")))
    return None


def _limit(limit: Limit | None) -> str | None:
    if limit is None:
        return None
    rate = f"{limit.count}/{_PERIODS.get(limit.period) or duration(limit.period)}"
    return rate if limit.burst is None else f"{rate} burst {limit.burst}"


def _cache(cache: CachePolicy) -> str:
    if cache.mode != "fixed":
        return cache.mode
    return f"{duration(cache.fresh)}, stale {duration(cache.stale)}" + (f", per {cache.per}" if cache.per else "")
