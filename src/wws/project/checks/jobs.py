"""Checks of the functions that run by the clock or for a queue, and of what queues say of each other."""

from __future__ import annotations

from typing import Any

from wws.project.checks.subject import Subject
from wws.project.document import nearest
from wws.project.schema import default

__all__ = ["crons", "queues"]


def crons(subject: Subject) -> None:
    rows = subject.values.get("triggers", {}).get("crons", ())
    for index, row in enumerate(rows):
        path = ("triggers", "crons", index)
        if row.function is not None:
            _function(subject, path, row.function, "scheduled")
        elif not any("scheduled" in found.handlers for found in subject.functions.functions.values()):
            subject.report.problem(path, "no function has `async def scheduled(event, env, ctx)`, so there is nothing to run")


def queues(subject: Subject) -> None:
    names = [queue["binding"] for _, queue in subject.rows("queues") if "binding" in queue]
    for index, queue in subject.rows("queues"):
        if "function" in queue:
            _function(subject, ("queues", index, "function"), queue["function"], "queue")
            _visibility(subject, index, queue)
        if "dead_letter" in queue:
            _dead_letter(subject, index, queue, names)


def _visibility(subject: Subject, index: int, queue: Any) -> None:
    """A message that is due again while its function still works on it is worked on twice."""
    found = subject.functions.functions.get(queue["function"])
    timeout = subject.policy.function_timeout if found is None else found.settings.get("timeout", subject.policy.function_timeout)
    visibility = queue.get("visibility", default("queues[].visibility"))
    if visibility <= timeout:
        told = (
            f"{visibility:g} s are no longer than the {timeout:g} s that {queue['function']} may take: messages would come twice"
        )
        subject.report.warning(("queues", index, "visibility" if "visibility" in queue else "function"), told)


def _dead_letter(subject: Subject, index: int, queue: Any, names: list[str]) -> None:
    path, target = ("queues", index, "dead_letter"), queue["dead_letter"]
    if target == queue.get("binding"):
        subject.report.problem(path, "this is the queue itself, which keeps its dead letters where `dead_letter` is left out")
    elif target not in names:
        subject.report.problem(path, f'found "{target}", but there is no such queue{nearest(target, names)}')


def _function(subject: Subject, path: tuple[str | int, ...], name: str, handler: str) -> None:
    folder = subject.functions
    found = folder.functions.get(name)
    if found is not None and (handler in found.handlers or found.problems):
        return
    file = f"{folder.root.name}/{name}.py"
    if f"{name}.py" in folder.sources:
        subject.report.problem(path, f'found "{name}", but {file} has no `async def {handler}(...)`')
    else:
        fitting = [one.name for one in folder.functions.values() if handler in one.handlers]
        subject.report.problem(path, f'found "{name}", but there is no {file}{nearest(name, fitting)}')
