"""Changing the configuration of a process that serves: what a reload comes to, and what it cannot change."""

from __future__ import annotations

from typing import Any, NamedTuple

from wws.errors import ConfigError, Problem, WwsError
from wws.project.settings import Project

__all__ = ["History", "Reloaded", "failed", "identity", "unchangeable"]


class Reloaded(NamedTuple):
    """How a reload ended: the version that is in force now, and what was wrong or is left as it was, a line each."""

    ok: bool
    version: str
    problems: list[str]
    warnings: list[str]


class History:
    """The reloads there were. `time` of the last one in seconds since 1970."""

    def __init__(self) -> None:
        self.counts = {"ok": 0, "error": 0}
        self._last: dict[str, Any] | None = None

    def note(self, reloaded: Reloaded, time: float) -> None:
        """One more."""
        result = "ok" if reloaded.ok else "error"
        self.counts[result] += 1
        self._last = {
            "at": time, "result": result, "version": reloaded.version,
            "problems": reloaded.problems, "warnings": reloaded.warnings,
        }  # fmt: skip

    def fields(self) -> dict[str, Any]:
        """As `/status` shows it."""
        return {**self.counts, "last": self._last}


def failed(error: WwsError, version: str) -> Reloaded:
    """A reload that changes nothing; `version` stays in force."""
    problems = error.problems if isinstance(error, ConfigError) else [error]
    return Reloaded(False, version, [str(problem) for problem in problems], [])


def identity(project: Project) -> str:
    """What two processes must agree on to serve the same: the version, and the one that is rolled out beside it."""
    beside = project.rollout
    after = "" if beside is None else f", {beside.percent:g} % {beside.project.release} {beside.project.policy.version}"
    return f"{project.release} {project.policy.version}{after}"


def unchangeable(serving: Project, wanted: Project) -> list[str]:
    """What `wanted` says otherwise than the project that was started, and only a restart can change: a line each."""
    old, new = serving.server, wanted.server
    both: dict[str, tuple[object, object]] = {
        "server.listen": (old.listen, new.listen),
        "server.admin": (old.admin or "off", new.admin or "off"),
        "server.workers": (old.workers, new.workers),
        "server.cert": (old.cert is not None, new.cert is not None),
        "kv.store": (serving.store_url, wanted.store_url),
    }
    said = {
        "server.cert": "TLS is switched on or off by a restart only",
        "kv.store": "another store needs a restart; the old one stays in use",  # an address may hold a password
    }
    return [
        str(Problem(str(wanted.path), None, key, said.get(key, f"{after} needs a restart; {before} stays in force")))
        for key, (before, after) in both.items()
        if before != after
    ]
