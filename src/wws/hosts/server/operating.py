"""The admin listener of a process that serves: what is asked there is asked of all processes, what is changed, changed in all."""

from __future__ import annotations

import os

from wws.admin.access import Access, on_loopback
from wws.admin.api import Api
from wws.admin.app import Admin
from wws.admin.audit import Audit
from wws.admin.dashboard import Dashboard
from wws.admin.deployments import Deployments
from wws.admin.tail import Tails
from wws.hosts.server.control import Control
from wws.hosts.server.serving import Serving
from wws.observe.ledger import ledger_file
from wws.project.settings import Project

__all__ = ["operating"]


def operating(serving: Serving, control: Control) -> Admin:
    """The app for the admin listener."""
    process = serving.process
    time, started = process.clock.time, serving.started

    def current() -> Project:
        return process.generation.project

    access = Access(lambda: current().admin.tokens)
    deployments = None
    if not serving.demo:  # which serves what is being written, and no version of it
        deployments = Deployments(current, Audit(started.home, time), control.reload, os.environ, time)
    dashboard = Dashboard(
        control.gather, control.status, lambda: current().release, ledger_file(started.store_url, started.home), time
    )
    api = Api(access, deployments, Tails(control.gather), lambda: current().admin.bundle_limit)
    return Admin(process.application, control, api, dashboard, private=on_loopback(str(current().server.admin or "")))
