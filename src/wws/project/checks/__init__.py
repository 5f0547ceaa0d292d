"""What no key can tell alone: names that must exist, values that must agree, parts that are off because a secret is missing.

Each check reads the file's own values and adds what it finds to the report. Whatever was already told of a key is not told again.
"""

from __future__ import annotations

from wws.project.checks import jobs, routing, server, upstreams
from wws.project.checks.subject import Subject

__all__ = ["Subject", "check"]

CHECKS = (
    server.listeners,
    server.admin,
    server.tls,
    server.proxies,
    server.store,
    server.sessions,
    server.limits,
    server.ages,
    upstreams.providers,
    upstreams.answering,
    upstreams.models,
    upstreams.rules,
    routing.origins,
    routing.routes,
    routing.bindings,
    jobs.crons,
    jobs.queues,
)


def check(subject: Subject) -> None:
    """Every check there is, in the order of the file."""
    for one in CHECKS:
        one(subject)
