"""Checks of the functions that run by the clock or for a queue, and of what queues say of each other."""

from __future__ import annotations

from typing import Any

from wws.project.checks.routing import FUNCTIONS
from wws.project.checks.subject import Subject
from wws.project.document import nearest

__all__ = ["crons", "queues"]


def crons(subject: Subject) -> None:
    rows = subject.values.get("triggers", {}).get("crons", ())
    for index, row in enumerate(rows):
        if row.function is not None:
            _function(subject, ("triggers", "crons", index), row.function)


def queues(subject: Subject) -> None:
    names = [queue["binding"] for _, queue in subject.rows("queues") if "binding" in queue]
    for index, queue in subject.rows("queues"):
        if "function" in queue:
            _function(subject, ("queues", index, "function"), queue["function"])
        if "dead_letter" in queue:
            _dead_letter(subject, index, queue, names)


def _dead_letter(subject: Subject, index: int, queue: Any, names: list[str]) -> None:
    path, target = ("queues", index, "dead_letter"), queue["dead_letter"]
    if target == queue.get("binding"):
        subject.report.problem(path, "this is the queue itself, which keeps its dead letters where `dead_letter` is left out")
    elif target not in names:
        subject.report.problem(path, f'found "{target}", but there is no such queue{nearest(target, names)}')


def _function(subject: Subject, path: tuple[str | int, ...], name: str) -> None:
    folder = subject.folder / FUNCTIONS
    if (folder / f"{name}.py").is_file():
        return
    known = [file.relative_to(folder).with_suffix("").as_posix() for file in sorted(folder.rglob("*.py"))]
    subject.report.problem(path, f'found "{name}", but there is no {FUNCTIONS}/{name}.py{nearest(name, known)}')
